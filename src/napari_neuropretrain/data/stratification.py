"""Iterative stratification: parts that resemble each other in several columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.tables import MISSING_VALUES, find_column

BINS = 5
"""Quantile bins of a column of numbers."""
COLUMNS = (("age", "age_years"), ("sex", "gender"), ("site", "center", "centre"))
"""Columns that are balanced besides the label, where a table has them."""


def stratify(
    categories: NDArray[np.int64],
    sizes: Sequence[int],
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Assign participants to parts that share every category evenly.

    The rarest category is dealt out first, each time to the part that still wants
    most of it: Sechidis et al. (2011), "On the stratification of multi-label data",
    algorithm 1. Pairs of categories count as well (Szymański and Kajdanowicz 2017),
    so that columns are balanced jointly.

    Parameters
    ----------
    categories
        (N, columns) code of each participant's category in each column.
    sizes
        Participants of each part; they add up to N and are kept exactly.
    random
        Breaks ties.

    Returns
    -------
    numpy.ndarray
        (N,) index of the part of each participant.

    Examples
    --------
    >>> sex = np.array([[0], [1], [0], [1]])
    >>> parts = stratify(sex, [2, 2], np.random.default_rng(0))
    >>> sorted(zip(parts.tolist(), sex[:, 0].tolist()))
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    member = _one_hot(_with_pairs(categories))  # (N, categories)
    left = np.array(sizes, dtype=float)
    wanted = np.outer(left / max(1, len(member)), member.sum(axis=0))
    part = np.full(len(member), -1, dtype=np.int64)
    counts = member.sum(axis=0).astype(float)
    while (part < 0).any():
        rarest = int(np.argmin(np.where(counts > 0, counts, np.inf)))
        candidates = np.flatnonzero(member[:, rarest] & (part < 0))
        for one in random.permutation(candidates):
            chosen = _neediest(wanted[:, rarest], left, random)
            part[one] = chosen
            left[chosen] -= 1
            wanted[chosen] -= member[one]
            counts -= member[one]
    return part


def _neediest(
    wanted: NDArray[np.float64],
    left: NDArray[np.float64],
    random: np.random.Generator,
) -> int:
    """Return the part that wants most of a category; of equals, the emptiest."""
    able = left > 0
    best = able & (wanted >= wanted[able].max() - 1e-9)
    best &= left >= left[best].max()
    return int(random.choice(np.flatnonzero(best)))


def _with_pairs(categories: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add a column for each pair of columns; its categories are the combinations."""
    columns = list(categories.T) or [np.zeros(len(categories), dtype=np.int64)]
    pairs = [
        one * (int(other.max()) + 1) + other
        for one, other in combinations(columns, 2)
        if len(other)
    ]
    return np.stack([*columns, *pairs], axis=1)


def _one_hot(categories: NDArray[np.int64]) -> NDArray[np.bool_]:
    columns = [column[:, None] == np.unique(column) for column in categories.T]
    return np.concatenate(columns, axis=1)


def category_codes(
    rows: Sequence[Mapping[str, str]], labels: Sequence[float]
) -> NDArray[np.int64]:
    """Return the categories of participants: label, age, sex and site.

    Parameters
    ----------
    rows
        Table row of each participant.
    labels
        Label of each participant; more than two values are put into bins.

    Returns
    -------
    numpy.ndarray
        (N, columns); a column that the table lacks, or that is the same for
        everyone, is left out. What is not known is a category of its own.
    """
    columns = [_codes([f"{label!r}" for label in labels])]
    for names in COLUMNS:
        texts = [_value(row, names) for row in rows]
        columns.append(_codes(texts))
    kept = [column for column in columns if column.size and column.max() > 0]
    return np.stack(kept, axis=1) if kept else np.zeros((len(rows), 0), dtype=np.int64)


def _codes(texts: Sequence[str]) -> NDArray[np.int64]:
    """Give each value of a column a number; many numbers become quantile bins."""
    numbers = [_number(text) for text in texts]
    known = np.array([number for number in numbers if number is not None])
    if len(np.unique(known)) > BINS and len(known) > len(texts) / 2:
        edges = np.quantile(known, np.arange(1, BINS) / BINS)
        texts = [
            "" if number is None else str(int(np.searchsorted(edges, number, "right")))
            for number in numbers
        ]
    return np.unique(list(texts), return_inverse=True)[1].astype(np.int64).reshape(-1)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def known_columns(rows: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return which of age, sex and site some row has, by their plain names."""
    rows = list(rows)
    return tuple(
        names[0] for names in COLUMNS if any(_value(row, names) for row in rows)
    )


def group_text(row: Mapping[str, str], name: str) -> str:
    """Return age, sex or site of a row as it is written there, or n/a.

    Examples
    --------
    >>> group_text({"Gender": "F"}, "sex"), group_text({"Gender": "F"}, "age")
    ('F', 'n/a')
    """
    names = next(names for names in COLUMNS if names[0] == name)
    column = find_column(row, names)
    known = bool(_value(row, names))
    return row[column].strip() if column and known else "n/a"


def _value(row: Mapping[str, str], names: tuple[str, ...]) -> str:
    column = find_column(row, names)
    text = row[column].strip().lower() if column else ""
    return "" if text in MISSING_VALUES else text
