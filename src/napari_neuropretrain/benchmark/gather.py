"""Read what the cells of a benchmark left behind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_neuropretrain.benchmark.cells import Cell, Setting
from napari_neuropretrain.benchmark.steps import is_done
from napari_neuropretrain.data.stratification import known_columns
from napari_neuropretrain.data.tables import Row, read_table
from napari_neuropretrain.evaluation.model_source import (
    BASELINES,
    PREDICTIONS,
    ModelSource,
    read_models,
)
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.reporting.trainings import read_epochs
from napari_neuropretrain.weights.model_card import ModelCard

BASELINE = "baseline"
"""Stands for the initialisation of linear models."""


@dataclass(frozen=True, eq=False)
class Trained:
    """One finished cell.

    Parameters
    ----------
    cell
        What was asked for.
    card
        Of its model.
    tested
        Predictions by cohort: its own test part first, then those it never saw.
    cost
        Seconds, memory and parameters, see `Cost`.
    epochs
        Values of each epoch that was recorded: losses and the like.
    baselines
        Predictions of linear models by name, and by cohort, as in `tested`.
    """

    cell: Cell
    card: ModelCard
    tested: Mapping[str, Predictions]
    cost: Mapping[str, Any]
    epochs: tuple[Mapping[str, Any], ...] = ()
    baselines: Mapping[str, Mapping[str, Predictions]] = field(default_factory=dict)


Seeds = Mapping[Setting, Mapping[str, Mapping[int, Predictions]]]
"""For each setting and cohort the predictions of each seed."""


def read_cell(cell: Cell) -> Trained | None:
    """Return what a cell found, or None where it is not finished."""
    if not is_done(cell.config):
        return None
    folder = Path(cell.config.output)
    source = read_models([str(folder)], ())[0]
    if source.card is None or source.tested is None:
        return None
    title = cell.setting.title
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return Trained(
        cell,
        source.card,
        _everywhere(cell, replace(source.tested, model=title), source.name),
        metrics.get("cost", {}),
        read_epochs(folder),
        _baselines(folder, cell, source),
    )


def _everywhere(cell: Cell, own: Predictions, name: str) -> dict[str, Predictions]:
    """Return what a model said of its own test part, and of each other cohort.

    Parameters
    ----------
    cell
        Whose model, or linear model, it is.
    own
        Predictions of the test part.
    name
        Of the model in the tables that ``evaluate`` wrote.
    """
    found = {cell.cohort: replace(own, cohort=cell.cohort)}
    for cohort, config in cell.zero_shot.items():
        if not is_done(config):
            continue
        rows = [
            row
            for row in read_table(Path(config.output) / "predictions.tsv")
            if row["model"] == name and row["cohort"] != "test"
        ]
        if rows:
            found[cohort] = replace(_read(rows, own), cohort=cohort)
    return found


def _read(rows: Sequence[Row], own: Predictions) -> Predictions:
    return replace(
        own,
        scans=np.array([row["scan"] for row in rows]),
        participants=np.array([row["participant_id"] for row in rows]),
        labels=np.array([float(row["label"]) for row in rows]),
        values=np.array([float(row["prediction"]) for row in rows]),
        columns={
            name: np.array([row[name] for row in rows]) for name in known_columns(rows)
        },
    )


def _baselines(
    folder: Path, cell: Cell, source: ModelSource
) -> dict[str, dict[str, Predictions]]:
    card = source.card
    options = {} if card is None else card.task.options
    positive = [str(one) for one in options.get("positive", ())]
    found = {}
    for table in sorted(folder.glob(f"{BASELINES}/*/{PREDICTIONS}")):
        name = table.parent.name
        tested = read_models([str(table.parent)], positive)[0].tested
        if tested is not None:
            own = replace(tested, model=name, unit="" if card is None else card.unit)
            found[name] = _everywhere(cell, own, f"{source.name}/{name}")
    return found


def by_setting(trained: Iterable[Trained]) -> Seeds:
    """Put the seeds of each setting together; linear models come last in a task."""
    found: dict[Setting, dict[str, dict[int, Predictions]]] = {}
    linear: dict[Setting, dict[str, dict[int, Predictions]]] = {}
    for one in trained:
        setting, seed = one.cell.setting, one.cell.seed
        for cohort, given in one.tested.items():
            found.setdefault(setting, {}).setdefault(cohort, {})[seed] = given
        for name, tested in one.baselines.items():
            place = replace(
                setting, backbone=name, initialisation=BASELINE, tuning="full"
            )
            for cohort, given in tested.items():
                linear.setdefault(place, {}).setdefault(cohort, {})[seed] = given
    return found | linear
