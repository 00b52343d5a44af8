"""Models to evaluate: run folders, model files, or tables of their predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.stratification import group_text, known_columns
from napari_neuropretrain.data.tables import (
    MISSING_VALUES,
    TABLE_SUFFIXES,
    Row,
    read_table,
)
from napari_neuropretrain.errors import CheckpointError, CohortError, ConfigError
from napari_neuropretrain.evaluation.age_bias import AgeBias, fit_age_bias
from napari_neuropretrain.evaluation.metrics import youden_threshold
from napari_neuropretrain.evaluation.predictions import Kind, Predictions
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import CARD, WEIGHTS, read_card

PREDICTIONS, BASELINES = "predictions.tsv", "baselines"
_NEEDED = ("participant_id", "label", "prediction")


@dataclass(frozen=True)
class ModelSource:
    """A model, and what it said of its own test part.

    Parameters
    ----------
    name
        For tables and sentences.
    tested
        Predictions of the test part; None where only the model file is there.
    card
        None for a table, which cannot be applied to another cohort.
    path
        Of the model file or the table.
    bias
        Age bias on its validation part.
    beside
        Whether it is a baseline that came with another model, whose card it has.
    """

    name: str
    tested: Predictions | None
    card: ModelCard | None
    path: Path
    bias: AgeBias | None = None
    beside: bool = False


def read_models(paths: Sequence[str], positive: Sequence[str]) -> list[ModelSource]:
    """Read models and give each a name of its own.

    Parameters
    ----------
    paths
        Run folders, ``.safetensors`` files, or tables with the columns
        participant_id, label and prediction, and perhaps session_id, split, age, sex
        and site.
    positive
        Labels of the positive group, for tables.

    Raises
    ------
    CheckpointError
        If a model cannot be read.
    CohortError, ConfigError
        If a table cannot be used.
    """
    names = _names(paths)
    return [
        _read(Path(path), name, positive)
        for path, name in zip(paths, names, strict=True)
    ]


def with_baselines(models: Sequence[ModelSource]) -> list[ModelSource]:
    """Add the linear models that were trained beside a run; of the same people once.

    A baseline of two runs with one division is the same model, and is not repeated.
    """
    found, known = list(models), set[tuple[str, str]]()
    for model in models:
        folder = model.path.parent / BASELINES
        if model.card is None or model.tested is None or not folder.is_dir():
            continue
        for table in sorted(folder.glob(f"*/{PREDICTIONS}")):
            cited = model.card.training.get("splits", {}).get("sha256", model.name)
            same = (table.parent.name, str(cited) + model.card.label)
            if same in known:
                continue
            known.add(same)
            name = f"{model.name}/{table.parent.name}"
            rows = read_table(table)
            options = model.card.task.options.get("positive", ())
            names = [text.lower() for text in options]
            given = _predictions(rows, table, name, model.card.kind, names)
            source = _fitted(given, rows, model.card.unit)
            found.append(
                ModelSource(name, source, model.card, table, source.bias, True)
            )
    return found


def _names(paths: Sequence[str]) -> list[str]:
    """Return the last parts of the paths that tell them apart."""
    parts = [
        Path(path).resolve().with_suffix("").parts
        if Path(path).suffix in (*TABLE_SUFFIXES, ".safetensors")
        else Path(path).resolve().parts
        for path in paths
    ]
    # In a run folder, the folder's name says more than that of the file.
    plain = ("model", "predictions")
    parts = [one[:-1] if one[-1] in plain and len(one) > 1 else one for one in parts]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-count:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    raise ConfigError(f"others: a model is given twice: {', '.join(paths)}.")


def _read(path: Path, name: str, positive: Sequence[str]) -> ModelSource:
    if not path.exists():
        raise CheckpointError(
            f"There is no model at '{path}'. Give the run folder of a fine-tuning, a "
            f".safetensors file, or a table with the columns {', '.join(_NEEDED)}."
        )
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _from_table(path, name, positive)
    weights = path / WEIGHTS if path.is_dir() else path
    folder = weights.parent
    if weights.is_file():
        beside = (
            folder / CARD if weights.name == WEIGHTS else weights.with_suffix(".json")
        )
        return _from_run(weights, folder / PREDICTIONS, name, read_card(beside))
    if (path / PREDICTIONS).is_file():
        return _from_table(path / PREDICTIONS, name, positive)
    raise CheckpointError(
        f"'{path}' holds neither {WEIGHTS} nor {PREDICTIONS}. Give the run folder of a "
        "finished fine-tuning."
    )


def _from_run(weights: Path, table: Path, name: str, card: ModelCard) -> ModelSource:
    if not table.is_file():
        return ModelSource(name, None, card, weights, _bias_of(card))
    rows = read_table(table)
    names = [text.lower() for text in card.task.options.get("positive", ())]
    given = _predictions(rows, table, name, card.kind, names)
    threshold = 0.5 if card.threshold is None else card.threshold
    held = given.take(_part(rows, "validation"))
    bias = fit_age_bias(held.values, held.labels) if card.kind != "binary" else None
    given = replace(given, threshold=threshold, bias=bias, unit=card.unit)
    return ModelSource(name, given.take(_part(rows, "test")), card, weights, bias)


def _bias_of(card: ModelCard) -> AgeBias | None:
    try:
        return AgeBias(**card.metrics["bias_correction"])
    except (KeyError, TypeError):
        return None


def _from_table(path: Path, name: str, positive: Sequence[str]) -> ModelSource:
    rows = read_table(path)
    kind = _kind(rows, path)
    given = _predictions(rows, path, name, kind, [text.lower() for text in positive])
    tested = _fitted(given, rows)
    return ModelSource(name, tested, None, path, tested.bias)


def _fitted(given: Predictions, rows: Sequence[Row], unit: str = "") -> Predictions:
    """Return the test part, with threshold and age bias of the validation part."""
    held = given.take(_part(rows, "validation"))
    threshold, bias = 0.5, None
    if given.kind == "binary" and held.labels.size:
        threshold = youden_threshold(held.values, held.labels)
    elif given.kind == "regression":
        bias = fit_age_bias(held.values, held.labels)
    given = replace(given, threshold=threshold, bias=bias, unit=unit)
    return given.take(_part(rows, "test"))


def _part(rows: Sequence[Row], part: str) -> NDArray[np.bool_]:
    """Return which rows belong to a part; without a column, all are the test."""
    return np.array([row.get("split", "test") == part for row in rows])


def _kind(rows: Sequence[Row], path: Path) -> Kind:
    """Tell groups from numbers: probabilities, and at most two labels."""
    missing = [name for name in _NEEDED if not rows or name not in rows[0]]
    if missing:
        raise CohortError(
            f"'{path}' lacks the column {', '.join(map(repr, missing))}. A table of "
            f"predictions needs {', '.join(_NEEDED)}."
        )
    labels = {row["label"].lower() for row in rows} - MISSING_VALUES
    values = [_number(row["prediction"]) for row in rows]
    shares = all(math.isnan(value) or 0 <= value <= 1 for value in values)
    return "binary" if len(labels) <= 2 and shares else "regression"


def _predictions(
    rows: Sequence[Row], path: Path, name: str, kind: Kind, positive: Sequence[str]
) -> Predictions:
    """Return every row, in the order of the table."""
    values = np.array([_number(row["prediction"]) for row in rows])
    texts = [row["label"].lower() for row in rows]
    if kind == "binary":
        labels = np.array([float(text in positive) for text in texts])
        if len(set(texts)) == 2 and len(set(labels)) != 2:
            raise ConfigError(
                f"positive: the labels of '{path}' are "
                f"{' and '.join(sorted(set(texts)))}; exactly one of them must be "
                "listed as positive."
            )
    else:
        labels = np.array([_number(text) for text in texts])
    wrong = np.flatnonzero(~np.isfinite(values) | ~np.isfinite(labels))
    if wrong.size:
        row = rows[wrong[0]]
        raise CohortError(
            f"'{path}' has no number for {row['participant_id']}: label "
            f"'{row['label']}', prediction '{row['prediction']}'. Delete such lines."
        )
    people = np.array([row["participant_id"] for row in rows])
    columns = {
        column: np.array([group_text(row, column) for row in rows])
        for column in known_columns(rows)
    }
    keys = np.array([_key(row) for row in rows])
    if len(set(keys.tolist())) < len(keys):
        raise CohortError(
            f"'{path}' lists a scan more than once. Add a session_id column, or keep "
            "one row for each scan."
        )
    return Predictions(name, "test", kind, keys, people, labels, values, columns)


def _key(row: Row) -> str:
    session = row.get("session_id", "")
    known = session.lower() not in MISSING_VALUES
    return f"{row['participant_id']}_{session}" if known else row["participant_id"]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
