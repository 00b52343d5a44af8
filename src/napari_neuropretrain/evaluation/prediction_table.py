"""Tables of predictions, ours or of others, as `Predictions`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.stratification import group_text, known_columns
from napari_neuropretrain.data.tables import MISSING_VALUES, Row
from napari_neuropretrain.errors import CohortError, ConfigError
from napari_neuropretrain.evaluation.predictions import Kind, Predictions

NEEDED = ("participant_id", "label", "prediction")
"""Columns that a table of predictions must have."""


def part_of_rows(rows: Sequence[Row], part: str) -> NDArray[np.bool_]:
    """Return which rows (N,) belong to a part; without a column, all are the test."""
    return np.array([row.get("split", "test") == part for row in rows])


def kind_of_rows(rows: Sequence[Row], path: Path) -> Kind:
    """Tell groups from numbers: probabilities, and at most two labels.

    Raises
    ------
    CohortError
        If a column is missing.
    """
    missing = [name for name in NEEDED if not rows or name not in rows[0]]
    if missing:
        raise CohortError(
            f"'{path}' lacks the column {', '.join(map(repr, missing))}. A table of "
            f"predictions needs {', '.join(NEEDED)}."
        )
    labels = {row["label"].lower() for row in rows} - MISSING_VALUES
    values = [_number(row["prediction"]) for row in rows]
    shares = all(math.isnan(value) or 0 <= value <= 1 for value in values)
    return "binary" if len(labels) <= 2 and shares else "regression"


def predictions_of_rows(
    rows: Sequence[Row], path: Path, name: str, kind: Kind, positive: Sequence[str]
) -> Predictions:
    """Return every row, in the order of the table.

    Parameters
    ----------
    rows, path
        The table, and where it is from.
    name
        Of the model.
    kind
        What it predicts.
    positive
        Labels of the positive group, in lower case.

    Raises
    ------
    ConfigError
        If not exactly one of two labels is positive.
    CohortError
        If a number is missing, or a scan is listed twice.
    """
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
