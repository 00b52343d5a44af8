"""Score a trained network and write what came out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.evaluation.metrics import (
    binary_metrics,
    regression_metrics,
    youden_threshold,
)
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.batches import Loader
from napari_neuropretrain.training.labelled_cohort import PARTS
from napari_neuropretrain.training.task import Task


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
    scored: Sequence[Scored], task: Task
) -> tuple[dict[str, dict[str, Any]], float | None]:
    """Return the metrics by part, a baseline, and the decision threshold.

    The threshold is fitted on the validation part and applied to all. The baseline
    gives every test scan the same answer: the mean training label, or the larger
    training group.
    """
    values = {part: _arrays(scored, part) for part in PARTS}
    train, test = values["train"][1], values["test"][1]
    constant = np.full(test.shape, train.mean())
    if task.kind == "regression":
        metrics = {part: regression_metrics(*pair) for part, pair in values.items()}
        baseline = regression_metrics(constant, test)
        kind = f"mean of the training labels ({train.mean():.4g})"
        return metrics | {"baseline": {"predicts": kind} | baseline}, None
    threshold = youden_threshold(*values["validation"])
    metrics = {part: binary_metrics(*pair, threshold) for part, pair in values.items()}
    baseline = binary_metrics(constant, test)
    group = "positive" if train.mean() >= 0.5 else "negative"
    kind = f"larger training group ({group})"
    return metrics | {"baseline": {"predicts": kind} | baseline}, threshold


def _arrays(
    scored: Sequence[Scored], part: Part
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    members = [one for one in scored if one.part == part]
    predictions = np.array([one.prediction for one in members])
    return predictions, np.array([one.label for one in members])


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write ``metrics.json``."""
    write_text(path, json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")


def write_predictions(
    path: Path, scored: Sequence[Scored], task: Any, threshold: float | None
) -> None:
    """Write one line a scan: who, which split, label and prediction."""
    rows = [["participant_id", "session_id", "split", "label", "prediction"]]
    if threshold is not None:
        rows[0].append("predicted_label")
    for one in sorted(scored, key=lambda one: (PARTS.index(one.part), one.scan.key)):
        who = [one.scan.participant, one.scan.session or "n/a", one.part]
        value = f"{one.prediction:.6g}"
        if threshold is None:
            rows.append([*who, f"{one.label:.6g}", value])
        else:
            called = task.names[int(one.prediction >= threshold)]
            rows.append([*who, task.names[int(one.label)], value, called])
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def describe(metrics: Mapping[str, Mapping[str, Any]], task: Task) -> str:
    """Say in one sentence how the test went."""
    test, baseline = metrics["test"], metrics["baseline"]
    if task.kind == "regression":
        unit = f" {task.unit}" if task.unit else ""
        return (
            f"Test of {test['n']} scans: mean absolute error {test['mae']:.2f}{unit} "
            f"(the same answer for everyone: {baseline['mae']:.2f}{unit})."
        )
    return (
        f"Test of {test['n']} scans: ROC-AUC {test['roc_auc']:.3f} (chance: 0.5), "
        f"balanced accuracy {test['balanced_accuracy']:.3f} at threshold "
        f"{test['threshold']:.3f}."
    )
