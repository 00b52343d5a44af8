"""On whom a training would be: how many, of which groups, how old; in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.training.labelled_cohort import PARTS
from napari_neuropretrain.training.task import Task


def describe_people(
    scans: Sequence[Scan], parts: Mapping[str, str], task: Task, label: str
) -> dict[str, str]:
    """Return a line for each part of a cohort.

    Parameters
    ----------
    scans
        With a row of the participants table.
    parts
        Part by scan key.
    task
        Tells whether the label is a group or a number.
    label
        Column of the label.
    """
    found: dict[str, str] = {}
    for part in [one for one in PARTS if one in parts.values()]:
        members = {one.participant: one for one in scans if parts.get(one.key) == part}
        rows = [one.row for one in members.values()]
        words = [count(len(rows), "person", "people")]
        if task.kind == "binary":
            words.append(_groups(_column(rows, label)))
        elif label.lower() != "age":
            words.append(_span(_column(rows, label), label))
        words += [_span(_column(rows, "age"), "age"), _groups(_column(rows, "sex"))]
        found[part] = ", ".join(word for word in words if word)
    return found


def count(number: int, one: str, many: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "person", "people"), count(3, "person", "people")
    ('1 person', '3 people')
    """
    return f"{number} {one if number == 1 else many}"


def _column(rows: Iterable[Mapping[str, str]], name: str) -> list[str]:
    wanted = name.lower()
    found = (
        next((value for key, value in row.items() if key.lower() == wanted), "")
        for row in rows
    )
    return [value for value in found if value and value.lower() != "n/a"]


def _groups(values: Sequence[str]) -> str:
    """Count the members of each group, the largest first."""
    counts = Counter(values).most_common(4)
    return " and ".join(f"{number} {name}" for name, number in counts)


def _span(values: Sequence[str], name: str) -> str:
    """Return the range of numbers, or nothing where there are none."""
    numbers = []
    for value in values:
        try:
            numbers.append(float(value))
        except ValueError:
            continue
    known = [number for number in numbers if math.isfinite(number)]
    if not known:
        return ""
    return f"{name} {min(known):.4g} to {max(known):.4g}"
