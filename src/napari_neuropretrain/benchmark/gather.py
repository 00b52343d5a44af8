"""Read what the cells of a benchmark left behind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_neuropretrain.benchmark.matrix import Cell, Setting
from napari_neuropretrain.benchmark.steps import is_done
from napari_neuropretrain.data.stratification import known_columns
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.evaluation.model_source import ModelSource, read_models
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.runs import read_events
from napari_neuropretrain.weights.model_card import ModelCard

BASELINE = "baseline"
"""Stands for the initialisation of linear models."""
_FOLDER = "baselines"


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
        Predictions of linear models on the same test part, by name.
    """

    cell: Cell
    card: ModelCard
    tested: Mapping[str, Predictions]
    cost: Mapping[str, Any]
    epochs: tuple[Mapping[str, Any], ...] = ()
    baselines: Mapping[str, Predictions] = field(default_factory=dict)


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
    tested = {cell.cohort: _named(source.tested, cell, cell.cohort)}
    for name, config in cell.zero_shot.items():
        if is_done(config):
            given = _zero_shot(source, Path(config.output) / "predictions.tsv")
            tested[name] = _named(given, cell, name)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return Trained(
        cell,
        source.card,
        tested,
        metrics.get("cost", {}),
        _epochs(folder),
        _baselines(folder, cell, source.card),
    )


def _named(given: Predictions, cell: Cell, cohort: str) -> Predictions:
    return replace(given, model=cell.setting.title, cohort=cohort)


def _zero_shot(source: ModelSource, path: Path) -> Predictions:
    """Read the table that ``evaluate`` wrote; its test part is left aside."""
    rows = [row for row in read_table(path) if row["cohort"] != "test"]
    tested = source.tested
    assert tested is not None
    return replace(
        tested,
        scans=np.array([row["scan"] for row in rows]),
        participants=np.array([row["participant_id"] for row in rows]),
        labels=np.array([float(row["label"]) for row in rows]),
        values=np.array([float(row["prediction"]) for row in rows]),
        columns={
            name: np.array([row[name] for row in rows]) for name in known_columns(rows)
        },
    )


def _epochs(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the last record of each epoch; a resumed one is there twice."""
    events, _ = read_events(folder)
    found = {
        event["values"]["epoch"]: event["values"]
        for event in events
        if event["state"] == "epoch" and "epoch" in event.get("values", {})
    }
    return tuple(found[number] for number in sorted(found))


def _baselines(folder: Path, cell: Cell, card: ModelCard) -> dict[str, Predictions]:
    positive = [str(one) for one in card.task.options.get("positive", ())]
    found = {}
    for table in sorted(folder.glob(f"{_FOLDER}/*/predictions.tsv")):
        name = table.parent.name
        given = read_models([str(table.parent)], positive)[0].tested
        if given is not None:
            tested = replace(given, model=name, cohort=cell.cohort, unit=card.unit)
            found[name] = tested
    return found


def by_setting(trained: Iterable[Trained]) -> Seeds:
    """Put the seeds of each setting together; linear models come last in a task."""
    found: dict[Setting, dict[str, dict[int, Predictions]]] = {}
    linear: dict[Setting, dict[str, dict[int, Predictions]]] = {}
    for one in trained:
        setting, own, seed = one.cell.setting, one.cell.cohort, one.cell.seed
        for cohort, given in one.tested.items():
            found.setdefault(setting, {}).setdefault(cohort, {})[seed] = given
        for name, given in one.baselines.items():
            place = replace(
                setting, backbone=name, initialisation=BASELINE, tuning="full"
            )
            linear.setdefault(place, {}).setdefault(own, {})[seed] = given
    return found | linear
