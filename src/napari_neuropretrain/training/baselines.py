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
from napari_neuropretrain.data.cells import cell_means
from napari_neuropretrain.data.regions import region_volumes
from napari_neuropretrain.evaluation.assessment import PRIMARY, Certainty
from napari_neuropretrain.evaluation.comparison import compare, sentence
from napari_neuropretrain.evaluation.linear_models import LinearModel, fit_linearly
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
LINEAR = "model.npz"
"""The model, beside its predictions."""


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
        ``..._regions`` and ``..._voxels_regions`` where region volumes are given.
    """
    found = {}
    kind = {"binary": "logistic", "regression": "ridge"}[task.kind]
    for data, features, regions in _features(config, study, report):
        name = f"{kind}_{data}"
        report(Progress("step", f"Baseline {name}: {features.shape[1]} features"))
        folder = Path(config.output) / FOLDER / name
        model = _fit(study, task, features, regions)
        model.save(folder / LINEAR)
        values = model.predict(features)
        mine = [
            replace(one, prediction=float(value))
            for one, value in zip(scored, values, strict=True)
            if np.isfinite(value)
        ]
        metrics, threshold = judge(mine, task, certainty)
        write_predictions(folder / "predictions.tsv", mine, task, threshold)
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


def _fit(
    study: Study,
    task: Task,
    features: NDArray[np.floating[Any]],
    regions: tuple[str, ...],
) -> LinearModel:
    """Learn from the training scans that have features."""
    scans = study.volumes.scans
    known = np.isfinite(features).all(axis=1)
    train = np.array([study.parts[scan.key] == "train" for scan in scans])
    labels = np.array([study.labels[scan.key] for scan in scans])
    people = np.array([scan.participant for scan in scans])
    used = known & train
    return fit_linearly(features[used], labels[used], people[used], task.kind, regions)


def _features(
    config: FinetuneConfig, study: Study, report: Report
) -> Iterator[tuple[str, NDArray[np.floating[Any]], tuple[str, ...]]]:
    """Yield features by name, with the names of the regions among them."""
    cells = voxel_features(study, report)
    yield "voxels", cells, ()
    if config.regions != NOTHING:
        regions = region_volumes(config.regions, study.volumes.scans)
        missing = int(np.isnan(regions.values).any(axis=1).sum())
        if missing:
            message = (
                f"{missing} scans have no region volumes in '{config.regions}': this "
                "baseline does without them."
            )
            report(Progress("warning", message))
        yield "regions", regions.values, regions.names
        yield "voxels_regions", np.hstack([cells, regions.values]), regions.names


def voxel_features(study: Study, report: Report) -> NDArray[np.float32]:
    """Return the means (N, cells) of cells of 8 mm."""
    sources, spacing = study.volumes.sources, study.volumes.contract.spacing_mm
    found = []
    for index, source in enumerate(sources):
        if index % 100 == 0:
            report(Progress("step", "Averaging cells", index, len(sources)))
        found.append(cell_means(voxels_of(source), spacing).reshape(-1))
    return np.stack(found)
