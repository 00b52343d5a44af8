"""The maps of a cohort side by side, and what groups have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.stratification import group_text
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.evaluation.groups import UNKNOWN, group_names
from napari_neuropretrain.explanation.group_statistics import (
    Numbers,
    one_group,
    two_groups,
)
from napari_neuropretrain.weights.model_card import ModelCard

ALL = "all"
_LABEL = "label"


@dataclass(frozen=True, eq=False)
class Member:
    """The map of one scan.

    Parameters
    ----------
    scan
        Whose.
    values, anatomy, brain
        Map, preprocessed scan and brain mask (X, Y, Z).
    prediction
        What the model says.
    """

    scan: Scan
    values: NDArray[np.float32]
    anatomy: NDArray[np.float32]
    brain: NDArray[np.bool_]
    prediction: float


@dataclass(frozen=True, eq=False)
class Gathered:
    """Maps of people, not of scans: scans of one person are averaged.

    Parameters
    ----------
    participants, groups
        (N,) who, and of which group; the group is empty where none was asked for.
    values
        (N, V) of the voxels in `brain`.
    brain, anatomy
        What is brain in at least half of the scans, and the mean scan (X, Y, Z).
    affine
        Voxel to RAS mm (4, 4).
    """

    participants: tuple[str, ...]
    groups: NDArray[np.str_]
    values: Numbers
    brain: NDArray[np.bool_]
    anatomy: NDArray[np.float32]
    affine: NDArray[np.float64]

    def volume(self, voxels: Numbers) -> NDArray[np.float32]:
        """Put values (V,) back into the volume (X, Y, Z), 0 elsewhere."""
        filled = np.zeros(self.brain.shape, dtype=np.float32)
        filled[self.brain] = np.nan_to_num(voxels)
        return filled


@dataclass(frozen=True, eq=False)
class GroupMap:
    """A mean map, or a difference of two.

    Parameters
    ----------
    name
        ``"all"``, a group, or ``"AD - CN"``.
    n
        Participants, of both groups for a difference.
    effect, t, p
        (V,) mean or difference in the map's unit, t, and corrected p.
    sd, se
        (V,) of a mean; None of a difference.
    shuffles
        Of the test.
    """

    name: str
    n: tuple[int, ...]
    effect: Numbers
    t: Numbers
    p: Numbers
    sd: Numbers | None
    se: Numbers | None
    shuffles: int


def groups_of(scans: Sequence[Scan], by: str, card: ModelCard) -> dict[str, str]:
    """Return the group of each participant.

    Parameters
    ----------
    scans
        With the lines of the cohort's table.
    by
        ``label``, ``sex``, ``site``, ``age`` (by decade) or any column.
    card
        Knows the column of its label.

    Raises
    ------
    ConfigError
        If no participant has a value in the column.
    """
    column = card.label if by == _LABEL else by
    texts = {one.participant: _text(one.row, column) for one in scans}
    age = "age" if column.lower() in ("age", "age_years") else column
    names = group_names(age, np.array(list(texts.values())))
    found = dict(zip(texts, names.tolist(), strict=True))
    if all(name == UNKNOWN for name in found.values()):
        columns = sorted({name for one in scans for name in one.row})
        table = f"its table has {', '.join(columns)}" if columns else "it has no table"
        raise ConfigError(
            f"group_by: no participant of the input has a value of '{column}'; {table}."
        )
    return found


def _text(row: Mapping[str, str], column: str) -> str:
    if column in ("age", "sex", "site"):
        text = group_text(row, column)
    else:
        lower = {name.lower(): value for name, value in row.items()}
        text = lower.get(column.lower(), "").strip()
    return "" if text.lower() in ("n/a", "nan") else text


def gather_maps(
    members: Sequence[Member], groups: Mapping[str, str], affine: NDArray[np.float64]
) -> Gathered:
    """Put the maps of all participants on top of each other.

    Parameters
    ----------
    members
        Of one grid.
    groups
        By participant; empty without groups.
    affine
        Of the grid.
    """
    brain = np.mean([one.brain for one in members], axis=0) >= 0.5
    people: dict[str, list[Numbers]] = {}
    for one in members:
        values = one.values[brain].astype(np.float64)
        people.setdefault(one.scan.participant, []).append(values)
    return Gathered(
        tuple(people),
        np.array([groups.get(name, "") for name in people]),
        np.array([np.mean(maps, axis=0) for maps in people.values()]),
        brain,
        np.mean([one.anatomy for one in members], axis=0).astype(np.float32),
        affine,
    )


def compare_groups(
    given: Gathered, permutations: int, first: Sequence[str] = ()
) -> list[GroupMap]:
    """Return the mean of all and of each group, and the differences between groups.

    Two groups have one difference; of more, each is compared with all the others, and
    p is multiplied by the number of comparisons (Bonferroni).

    Parameters
    ----------
    given
        Maps of people.
    permutations
        Shuffles of each test; 0 for none.
    first
        Groups from which the others are taken off, such as patients.
    """
    found = [_mean(ALL, given.values, permutations)]
    names = sorted(set(given.groups.tolist()) - {"", UNKNOWN})
    names.sort(key=lambda name: name.lower() not in [one.lower() for one in first])
    if len(names) < 2:
        return found
    for name in names:
        found.append(_mean(name, given.values[given.groups == name], permutations))
    differences = list(_differences(given, names, permutations))
    count = len(differences)
    return found + [
        replace(one, p=np.minimum(one.p * count, 1.0)) for one in differences
    ]


def _mean(name: str, values: Numbers, permutations: int) -> GroupMap:
    found = one_group(values, permutations)
    return GroupMap(
        name,
        (found.n,),
        found.mean,
        found.t,
        found.p,
        found.sd,
        found.se,
        found.shuffles,
    )


def _differences(
    given: Gathered, names: Sequence[str], permutations: int
) -> Iterator[GroupMap]:
    known = np.isin(given.groups, names)
    values, groups = given.values[known], given.groups[known]
    for name in names[:1] if len(names) == 2 else names:
        rest = names[1] if len(names) == 2 else "others"
        found = two_groups(values, groups == name, permutations)
        if min(found.n) >= 2:
            tests = found.difference, found.t, found.p
            yield GroupMap(
                f"{name} - {rest}", found.n, *tests, None, None, found.shuffles
            )
