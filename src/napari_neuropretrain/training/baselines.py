"""Linear models in the same division, beside the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.regions import region_volumes
from napari_neuropretrain.evaluation.assessment import PRIMARY, Certainty
from napari_neuropretrain.evaluation.comparison import compare, sentence
from napari_neuropretrain.evaluation.linear_models import predict_linearly
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.results import (
    Scored,
    judge,
    predictions_of,
    write_predictions,
)
from napari_neuropretrain.training.study import Study
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.volumes import voxels_of

FOLDER = "baselines"
"""In a run folder: a folder with predictions.tsv for each of them."""
_CELL_MM = 8.0


def judge_baselines(
    config: FinetuneConfig,
    study: Study,
    task: Task,
    scored: Sequence[Scored],
    certainty: Certainty,
    report: Report,
) -> dict[str, dict[str, Any]]:
    """Train linear models on the same training part, and test them the same way.

    Parameters
    ----------
    config
        Where to write, and where region volumes are.
    study, task
        What is learned, and from whom.
    scored
        The network's predictions.
    certainty
        Of intervals and tests.
    report
        Hears a ``metric`` for each, and which of the two is better.

    Returns
    -------
    dict
        Test metrics by name: ``ridge_voxels`` or ``logistic_voxels``, and
        ``..._regions`` where region volumes are given.
    """
    found = {}
    kind = {"binary": "logistic", "regression": "ridge"}[task.kind]
    for data, features in _features(config, study, report):
        name = f"{kind}_{data}"
        report(Progress("step", f"Baseline {name}: {features.shape[1]} features"))
        values = _predict(study, task, features)
        mine = [
            replace(one, prediction=float(value))
            for one, value in zip(scored, values, strict=True)
            if np.isfinite(value)
        ]
        metrics, threshold = judge(mine, task, certainty)
        table = Path(config.output) / FOLDER / name / "predictions.tsv"
        write_predictions(table, mine, task, threshold)
        found[name] = metrics["test"]
        report(Progress("metric", _verdict(name, mine, scored, task, certainty)))
    return found


def _verdict(
    name: str,
    mine: Sequence[Scored],
    scored: Sequence[Scored],
    task: Task,
    certainty: Certainty,
) -> str:
    """Say whether the network or the baseline is better on the test part."""
    network = replace(predictions_of(scored, "test", task), model="the network")
    other = replace(predictions_of(mine, "test", task), model=name)
    rows = compare(network, other, certainty)
    unit = task.unit if task.kind == "regression" else ""
    row = next((one for one in rows if one.metric == PRIMARY[task.kind]), None)
    if row is None:
        return f"{name} and the network cannot be compared: only one group is there."
    label = {"roc_auc": "ROC-AUC", "mae": "mean absolute error"}[row.metric]
    one, two = row.values
    values = f"{label} {two:.3g} {unit}".strip() + f", the network {one:.3g}"
    return f"Baseline {name}: {values}. {sentence(row, unit, certainty.level)}"


def _predict(
    study: Study, task: Task, features: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Return a prediction (N,) for each scan; NaN where it has no features."""
    scans = study.volumes.scans
    known = np.isfinite(features).all(axis=1)
    labels = np.array([study.labels[scan.key] for scan in scans])
    people = np.array([scan.participant for scan in scans])
    train = np.array([study.parts[scan.key] == "train" for scan in scans])
    values = np.full(len(scans), np.nan)
    values[known] = predict_linearly(
        features[known], labels[known], people[known], train[known], task.kind
    )
    return values


def _features(
    config: FinetuneConfig, study: Study, report: Report
) -> Iterator[tuple[str, NDArray[np.floating[Any]]]]:
    yield "voxels", cell_means(study, report)
    if config.regions != NOTHING:
        regions = region_volumes(config.regions, study.volumes.scans)
        missing = int(np.isnan(regions).any(axis=1).sum())
        if missing:
            message = (
                f"{missing} scans have no region volumes in '{config.regions}': this "
                "baseline does without them."
            )
            report(Progress("warning", message))
        yield "regions", regions


def cell_means(study: Study, report: Report) -> NDArray[np.float32]:
    """Return the means (N, cells) of cells of 8 mm.

    On 141 scans of one scanner they predicted age and sex better than cells of 4 mm.
    """
    sources = study.volumes.sources
    edge = max(1, round(_CELL_MM / study.volumes.contract.spacing_mm))
    found = []
    for index, source in enumerate(sources):
        if index % 100 == 0:
            report(Progress("step", "Averaging cells", index, len(sources)))
        voxels = voxels_of(source)
        x, y, z = (size // edge for size in voxels.shape)
        whole = voxels[: x * edge, : y * edge, : z * edge]
        split = whole.reshape(x, edge, y, edge, z, edge)
        found.append(split.mean(axis=(1, 3, 5), dtype=np.float32).reshape(-1))
    return np.stack(found)
