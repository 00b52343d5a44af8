"""Turn columns of a participants table into targets for training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from napari_neuropretrain.data.cohort import Cohort
from napari_neuropretrain.data.tables import MISSING_VALUES, find_column
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure

MAX_AGE_YEARS = 120.0
_SHOWN = 8


def numeric_labels(cohort: Cohort, column: str) -> dict[str, float]:
    """Return one number per scan, for example the age in years.

    Scans without a value are absent; see `missing_labels`.

    Parameters
    ----------
    cohort
        Scans with their table rows.
    column
        Column of numbers, in any letter case.

    Raises
    ------
    CohortError
        If the column is absent or empty, holds text, or an age is not within
        0 and 120 years.
    """
    texts = _texts(cohort, column)
    numbers = {key: _number(text) for key, text in texts.items()}
    wrong = {key: texts[key] for key, number in numbers.items() if number is None}
    if wrong:
        raise CohortError(
            f"Column '{column}' of '{cohort.root}' must hold numbers, but "
            f"{_list(wrong)}. Correct them, or write n/a where the value is not known."
        )
    labels = {key: number for key, number in numbers.items() if number is not None}
    if column.lower() in ("age", "age_years"):
        _check_ages(cohort, column, labels)
    return labels


def binary_labels(
    cohort: Cohort, column: str, positive: Sequence[str], negative: Sequence[str]
) -> dict[str, int]:
    """Return 1 or 0 per scan, for example for a diagnosis.

    Scans whose value is in neither list are absent; see `missing_labels`.

    Parameters
    ----------
    cohort
        Scans with their table rows.
    column
        Column of names, in any letter case.
    positive, negative
        Values that count as 1 and as 0, in any letter case.

    Raises
    ------
    CohortError
        If the column is absent or empty, a value is in both lists, or no scan has
        one of the two.
    """
    texts = _texts(cohort, column)
    ones, zeros = _lowered(positive), _lowered(negative)
    if both := ones & zeros:
        raise CohortError(
            f"{_quoted(both)} cannot be both a positive and a negative value of "
            f"column '{column}'."
        )
    labels = {
        key: int(text.lower() in ones)
        for key, text in texts.items()
        if text.lower() in ones | zeros
    }
    for kind, wanted, label in (("positive", ones, 1), ("negative", zeros, 0)):
        if label not in labels.values():
            raise CohortError(
                f"No scan has a {kind} value ({_quoted(wanted) or 'none given'}) in "
                f"column '{column}' of '{cohort.root}'. The values are "
                f"{_quoted(texts.values())}."
            )
    return labels


def text_labels(cohort: Cohort, column: str) -> dict[str, float]:
    """Return a number per scan for any column: its own, or one for each name.

    For a division, where it only counts who has the same label. Scans without a
    value are absent.

    Raises
    ------
    CohortError
        If the column is absent or empty.
    """
    texts = _texts(cohort, column)
    numbers = {key: _number(text) for key, text in texts.items()}
    if all(number is not None for number in numbers.values()):
        return {key: number for key, number in numbers.items() if number is not None}
    names = sorted({text.lower() for text in texts.values()})
    return {key: float(names.index(text.lower())) for key, text in texts.items()}


def missing_labels(
    cohort: Cohort, column: str, labels: Mapping[str, float]
) -> tuple[Failure, ...]:
    """Say for each scan without a label why it has none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_neuropretrain.data.cohort import Scan
    >>> scan = Scan("sub-01", None, Path("t1.nii"), {"diagnosis": "MCI"})
    >>> missing_labels(Cohort((scan,), Path("study")), "diagnosis", {})[0].reason
    "'MCI' in column 'diagnosis' is neither a positive nor a negative value"
    """
    return tuple(
        Failure(scan.key, _reason(column, _value(scan.row, column)))
        for scan in cohort.scans
        if scan.key not in labels
    )


def _reason(column: str, text: str) -> str:
    if text.lower() in MISSING_VALUES:
        return f"no value in column '{column}'"
    return f"'{text}' in column '{column}' is neither a positive nor a negative value"


def _value(row: Mapping[str, str], column: str) -> str:
    name = find_column(row, (column.lower(),))
    return row[name] if name else ""


def _texts(cohort: Cohort, column: str) -> dict[str, str]:
    """Return the known values of a column by scan key."""
    if find_column(cohort.columns, (column.lower(),)) is None:
        there = ", ".join(repr(name) for name in cohort.columns)
        raise CohortError(
            f"The table of '{cohort.root}' has no column '{column}'. "
            + (f"Its columns are {there}." if there else "There is no table; add one.")
        )
    values = {scan.key: _value(scan.row, column) for scan in cohort.scans}
    known = {
        key: text for key, text in values.items() if text.lower() not in MISSING_VALUES
    }
    if not known:
        raise CohortError(
            f"Column '{column}' of '{cohort.root}' has no value for any of the "
            f"{len(cohort.scans)} scans. Fill it in, or choose another column."
        )
    return known


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _check_ages(cohort: Cohort, column: str, ages: Mapping[str, float]) -> None:
    odd = {
        key: f"{age:g}" for key, age in ages.items() if not 0 <= age <= MAX_AGE_YEARS
    }
    if odd:
        raise CohortError(
            f"Column '{column}' of '{cohort.root}' must hold years from 0 to "
            f"{MAX_AGE_YEARS:g}, but {_list(odd)}. Correct them, or write n/a."
        )


def _list(values: Mapping[str, str]) -> str:
    """Write ``sub-01 has 'old'`` for the first few of many."""
    shown = [f"{key} has '{text}'" for key, text in list(values.items())[:_SHOWN]]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(repr(value) for value in sorted(set(values)))


def _lowered(values: Sequence[str]) -> frozenset[str]:
    # A lone name would otherwise be taken letter by letter.
    listed = (values,) if isinstance(values, str) else values
    return frozenset(value.strip().lower() for value in listed)
