"""How a model does in each group of people: site, sex, decade of age."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.evaluation.assessment import Assessment, Certainty, assess
from napari_neuropretrain.evaluation.predictions import Predictions

UNKNOWN = "n/a"


@dataclass(frozen=True)
class Group:
    """Metrics of one group of a cohort.

    Parameters
    ----------
    column, name
        For example sex and F; age and 60-69.
    n, n_participants
        Scans, and people they are of.
    assessment
        None where the group is too small for a number.
    """

    column: str
    name: str
    n: int
    n_participants: int
    assessment: Assessment | None


def assess_groups(
    given: Predictions, columns: Sequence[str], smallest: int, certainty: Certainty
) -> tuple[Group, ...]:
    """Judge each group that a column makes, with intervals.

    Parameters
    ----------
    given
        All scans; the threshold stays that of the model.
    columns
        Which of its columns; ``age`` is cut into decades.
    smallest
        Participants a group needs, of each label where these are groups, too: below
        that a number would be noise, and might tell of a single person.
    certainty
        Of the intervals; the test against chance is left out.

    Returns
    -------
    tuple
        Columns in the given order, groups sorted; columns of one value are left out.
    """
    without_test = Certainty(
        certainty.bootstraps, 0, certainty.level, certainty.bins, certainty.seed
    )
    found = []
    for column in columns:
        if column not in given.columns:
            continue
        names = group_names(column, given.columns[column])
        if len(set(names.tolist())) < 2:
            continue
        for name in sorted(set(names.tolist()), key=lambda one: (one == UNKNOWN, one)):
            some = given.take(names == name)
            people = some.n_participants
            enough = _smallest_count(some) >= smallest
            judged = assess(some, without_test) if enough else None
            found.append(Group(column, name, some.labels.size, people, judged))
    return tuple(found)


def _smallest_count(given: Predictions) -> int:
    """Return the participants of the smaller label, or all where it is a number."""
    if given.kind == "regression":
        return given.n_participants
    counts = [
        len(np.unique(given.participants[given.labels == label])) for label in (0, 1)
    ]
    return min(counts)


def group_names(column: str, texts: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the group (N,) of each text; ages become decades.

    Examples
    --------
    >>> group_names("age", np.array(["61.5", "8", ""])).tolist()
    ['60-69', '0-9', 'n/a']
    """
    if column != "age":
        return np.array([text or UNKNOWN for text in texts.tolist()])
    return np.array([_decade(text) for text in texts.tolist()])


def _decade(text: str) -> str:
    try:
        age = float(text)
    except ValueError:
        return UNKNOWN
    if not math.isfinite(age):
        return UNKNOWN
    decade = int(age // 10) * 10
    return f"{decade}-{decade + 9}"
