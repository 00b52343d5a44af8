"""How many of which label, sex and age a cohort has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from napari_neuropretrain.data.cohort_filter import number_of
from napari_neuropretrain.data.labels import MAX_AGE_YEARS
from napari_neuropretrain.data.tables import MISSING_VALUES

UNKNOWN = "not known"
LABEL_COLUMNS = ("diagnosis", "dx", "group", "label", "class", "status")
"""Names that a column of labels usually has."""
_MOST_CLASSES = 12
_AGE_BINS = (5, 10, 20)


@dataclass(frozen=True)
class Histogram:
    """Counts in bins of equal width, for several groups.

    Parameters
    ----------
    edges
        Borders of the bins, one more than there are bins.
    counts
        Counts per bin by group.
    """

    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]


def balance(values: Iterable[str], by: Iterable[str]) -> dict[str, Counter[str]]:
    """Count values by group, the most frequent value first, unknown ones last.

    Examples
    --------
    >>> found = balance(["AD", "CN", "AD", "n/a"], ["F", "F", "M", "M"])
    >>> {value: dict(counts) for value, counts in found.items()}
    {'AD': {'F': 1, 'M': 1}, 'CN': {'F': 1}, 'not known': {'M': 1}}
    """
    counts: dict[str, Counter[str]] = {}
    for value, group in zip(values, by, strict=True):
        counts.setdefault(_named(value), Counter())[_named(group)] += 1
    order = sorted(counts, key=lambda one: (one == UNKNOWN, -counts[one].total(), one))
    return {value: counts[value] for value in order}


def age_histogram(ages: Iterable[str], groups: Iterable[str]) -> Histogram:
    """Count ages in bins of 5, 10 or 20 years, at most 12 of them, by group.

    What is no age of a person is left out.

    Examples
    --------
    >>> found = age_histogram(["61", "64", "72", "n/a"], ["F", "M", "F", "F"])
    >>> found.edges, found.counts
    ((60.0, 65.0, 70.0, 75.0), {'F': (1, 0, 1), 'M': (1, 0, 0)})
    """
    known = [
        (number, _named(group))
        for age, group in zip(ages, groups, strict=True)
        if (number := number_of(age)) is not None and 0 <= number <= MAX_AGE_YEARS
    ]
    if not known:
        return Histogram((), {})
    low, high = min(known)[0], max(known)[0]
    width = next(w for w in _AGE_BINS if high - low < 12 * w)
    first, last = int(low // width), int(high // width)
    counts = {group: [0] * (last - first + 1) for _, group in known}
    for number, group in known:
        counts[group][int(number // width) - first] += 1
    edges = tuple(float(width * one) for one in range(first, last + 2))
    return Histogram(edges, {one: tuple(counts[one]) for one in sorted(counts)})


def guess_label(columns: Sequence[str], values: Mapping[str, Sequence[str]]) -> str:
    """Return the column that most likely holds the label; empty if none does.

    Parameters
    ----------
    columns
        Of the table, in its order.
    values
        Values of each column.

    Examples
    --------
    >>> guess_label(["id", "age", "Group"], {})
    'Group'
    """
    lower = {name.lower(): name for name in columns}
    found = next((lower[name] for name in LABEL_COLUMNS if name in lower), "")
    if found:
        return found
    for fallback in ("sex", "age"):
        known = values.get(lower.get(fallback, ""), ())
        if any(value.lower() not in MISSING_VALUES for value in known):
            return lower[fallback]
    return ""


def is_number_column(values: Iterable[str]) -> bool:
    """Whether most known values are numbers, too many of them to be classes."""
    known = [value for value in values if value.lower() not in MISSING_VALUES]
    numbers = {number_of(value) for value in known} - {None}
    share = sum(number_of(value) is not None for value in known)
    return len(numbers) > _MOST_CLASSES / 2 and share > len(known) / 2


def _named(value: str) -> str:
    return UNKNOWN if value.lower() in MISSING_VALUES else value
