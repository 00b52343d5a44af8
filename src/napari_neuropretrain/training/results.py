"""Score a trained network and write what came out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.data.stratification import group_text, known_columns
from napari_neuropretrain.evaluation.age_bias import fit_age_bias
from napari_neuropretrain.evaluation.assessment import Certainty, assess
from napari_neuropretrain.evaluation.metrics import (
    binary_metrics,
    regression_metrics,
    youden_threshold,
)
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.batches import Loader
from napari_neuropretrain.training.labelled_cohort import PARTS
from napari_neuropretrain.training.task import Task

LEAST_P = 0.001
"""A test on shuffled labels that is better than this is no chance."""


@dataclass(frozen=True)
class Scored:
    """One scan with its label and its prediction, both in the label's unit."""

    scan: Scan
    part: Part
    label: float
    prediction: float


@torch.inference_mode()
def predict_logits(
    network: nn.Module, loader: Loader, device: torch.device, report: Report
) -> torch.Tensor:
    """Return the logits (N,) of every volume of an ordered loader, on the CPU."""
    network = network.to(device).eval()
    found = []
    for index, (images, _) in enumerate(loader):
        report(Progress("step", "" if index else "Scoring", index, len(loader)))
        found.append(network(images.to(device)).squeeze(1).float().cpu())
    return torch.cat(found)


def judge(
    scored: Sequence[Scored], task: Task, certainty: Certainty
) -> tuple[dict[str, dict[str, Any]], float | None]:
    """Return the metrics by part, a baseline, and the decision threshold.

    Threshold and age bias are fitted on the validation part. The test has intervals
    and a test against chance. The baseline gives every test scan the same answer:
    the mean training label, or the larger training group.
    """
    given = {part: predictions_of(scored, part, task) for part in PARTS}
    held, train, test = given["validation"], given["train"], given["test"]
    constant = np.full(test.labels.shape, train.labels.mean())
    metrics: dict[str, dict[str, Any]] = {}
    if task.kind == "regression":
        threshold = None
        bias = fit_age_bias(held.values, held.labels)
        for part in PARTS[:2]:
            metrics[part] = regression_metrics(given[part].values, given[part].labels)
        metrics["test"] = assess(replace(test, bias=bias), certainty).as_json()
        if bias is not None:
            metrics["bias_correction"] = asdict(bias)
        baseline = regression_metrics(constant, test.labels)
        kind = f"mean of the training labels ({train.labels.mean():.4g})"
    else:
        threshold = youden_threshold(held.values, held.labels)
        for part in PARTS[:2]:
            values, labels = given[part].values, given[part].labels
            metrics[part] = binary_metrics(values, labels, threshold)
        test = replace(test, threshold=threshold)
        metrics["test"] = assess(test, certainty).as_json()
        baseline = binary_metrics(constant, test.labels)
        group = "positive" if train.labels.mean() >= 0.5 else "negative"
        kind = f"larger training group ({group})"
    return metrics | {"baseline": {"predicts": kind} | baseline}, threshold


def predictions_of(scored: Sequence[Scored], part: Part, task: Task) -> Predictions:
    """Return what evaluations start from, for the scans of one part."""
    members = [one for one in scored if one.part == part]
    return Predictions(
        "this model",
        part,
        task.kind,
        np.array([one.scan.key for one in members]),
        np.array([one.scan.participant for one in members]),
        np.array([one.label for one in members], dtype=float),
        np.array([one.prediction for one in members], dtype=float),
        unit=task.unit,
    )


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write ``metrics.json``."""
    write_text(path, json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")


def write_predictions(
    path: Path, scored: Sequence[Scored], task: Any, threshold: float | None
) -> None:
    """Write one line a scan: who, which split, label and prediction.

    Age, sex and site follow where the cohort's table has them.
    """
    groups = known_columns(one.scan.row for one in scored)
    rows = [["participant_id", "session_id", "split", "label", "prediction"]]
    rows[0] += [*([] if threshold is None else ["predicted_label"]), *groups]
    for one in sorted(scored, key=lambda one: (PARTS.index(one.part), one.scan.key)):
        row = [one.scan.participant, one.scan.session or "n/a", one.part]
        value = f"{one.prediction:.6g}"
        if threshold is None:
            row += [f"{one.label:.6g}", value]
        else:
            called = task.names[int(one.prediction >= threshold)]
            row += [task.names[int(one.label)], value, called]
        rows.append([*row, *(group_text(one.scan.row, name) for name in groups)])
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def describe(metrics: Mapping[str, Mapping[str, Any]], task: Task) -> str:
    """Say in one sentence how the test went."""
    test, baseline = metrics["test"], metrics["baseline"]
    if task.kind == "regression":
        unit = f" {task.unit}" if task.unit else ""
        return (
            f"Test of {test['n']} scans: mean absolute error {test['mae']:.2f}{unit}"
            f"{_limits(test, 'mae', 2)} (the same answer for everyone: "
            f"{baseline['mae']:.2f}{unit})."
        )
    return (
        f"Test of {test['n']} scans: ROC-AUC {test['roc_auc']:.3f}"
        f"{_limits(test, 'roc_auc', 3)} (chance: 0.5), balanced accuracy "
        f"{test['balanced_accuracy']:.3f} at threshold {test['threshold']:.3f}."
    )


def describe_baselines(
    metrics: Mapping[str, Mapping[str, Any]], task: Task
) -> list[str]:
    """Say in a sentence each how the linear models did on the same test."""
    said = []
    for name, test in metrics.get("baselines", {}).items():
        if task.kind == "regression":
            value = f"{test['mae']:.2f} {task.unit}{_limits(test, 'mae', 2)}"
        else:
            value = f"{test['roc_auc']:.3f}{_limits(test, 'roc_auc', 3)}"
        said.append(f"{name}: {value}.")
    return said


def _limits(test: Mapping[str, Any], metric: str, digits: int) -> str:
    interval = test.get("intervals", {}).get(metric)
    if interval is None:
        return ""
    low, high = interval
    return f", 95 % interval {low:.{digits}f} to {high:.{digits}f}"


def judge_self_test(test: Mapping[str, Any], report: Report) -> str:
    """Say whether a training on shuffled labels came out at chance, as it must."""
    p = test.get("p_chance")
    if p is None:
        return "The labels were shuffled."
    if p < LEAST_P:
        message = (
            f"The labels were shuffled, and still the test is better than chance (p "
            f"{p:.2g}): something of the test part leaks into the training."
        )
        report(Progress("warning", message))
        return message
    return (
        f"The labels were shuffled, and the test is at chance, as it must (p {p:.2g})."
    )
