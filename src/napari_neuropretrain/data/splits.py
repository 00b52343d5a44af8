"""Divide participants into training, validation and test, or into folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np

from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.stratification import category_codes, stratify
from napari_neuropretrain.errors import CohortError, ConfigError

Part: TypeAlias = Literal["train", "validation", "test"]


def split_participants(
    scans: Iterable[Scan],
    labels: Mapping[str, float] | None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
    same_person: Mapping[str, str] | None = None,
) -> dict[str, Part]:
    """Assign each scan to a part, never one participant to two.

    The parts resemble each other in label, age, sex and site, as far as the table
    has them (`stratify`).

    Parameters
    ----------
    scans
        Scans of the cohort, in any order.
    labels
        Label by scan key. Two different values are classes, of which each part
        gets its share; more are numbers, of which each part gets all quantiles.
        Scans without a label are left out. None for a study without labels.
    validation_fraction, test_fraction
        Fractions of the participants, from 0; together less than 1. A fraction
        above 0 gets at least one participant, and one of each class.
    seed
        Same scans and seed, same division.
    same_person
        Another participant who turned out to be the same person, by participant
        (`find_repeats`); they stay together.

    Returns
    -------
    dict
        Part by scan key.

    Raises
    ------
    ConfigError
        If the fractions are impossible.
    CohortError
        If there are too few participants, in all or of one class.
    """
    _check_fractions(validation_fraction, test_fraction)

    def sizes(count: int, name: str) -> list[int]:
        return _part_sizes(count, name, validation_fraction, test_fraction)

    used = [scan for scan in scans if labels is None or scan.key in labels]
    index = _deal(used, labels, sizes, seed, same_person or {})
    return {key: get_args(Part)[number] for key, number in index.items()}


def fold_participants(
    scans: Iterable[Scan],
    labels: Mapping[str, float] | None,
    folds: int,
    seed: int,
    same_person: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Assign each scan to a fold from 1 to `folds`, never one participant to two.

    Parameters and errors are those of `split_participants`.
    """
    start = 0

    def sizes(count: int, name: str) -> list[int]:
        nonlocal start
        if count < folds:
            raise CohortError(
                f"There are {count} participants{name}, but {folds} folds need at "
                f"least {folds}. Take fewer folds."
            )
        # The folds that get one more of this class are not those of the last one.
        more = {(start + extra) % folds for extra in range(count % folds)}
        start += count % folds
        return [count // folds + (fold in more) for fold in range(folds)]

    used = [scan for scan in scans if labels is None or scan.key in labels]
    index = _deal(used, labels, sizes, seed, same_person or {})
    return {key: number + 1 for key, number in index.items()}


def part_of_fold(fold: int, tested: int, folds: int) -> Part:
    """Return what a fold is for where fold `tested` is the test.

    Examples
    --------
    >>> [part_of_fold(fold, 5, 5) for fold in (1, 2, 5)]
    ['validation', 'train', 'test']
    """
    if fold == tested:
        return "test"
    return "validation" if fold == tested % folds + 1 else "train"


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    total = validation_fraction + test_fraction
    if min(validation_fraction, test_fraction) < 0 or not total < 1:
        raise ConfigError(
            f"A validation fraction of {validation_fraction} and a test fraction of "
            f"{test_fraction} leave nothing to train on. Both must be at least 0, and "
            "their sum below 1."
        )


def _deal(
    scans: list[Scan],
    labels: Mapping[str, float] | None,
    sizes: Callable[[int, str], list[int]],
    seed: int,
    same_person: Mapping[str, str],
) -> dict[str, int]:
    """Return the number of the part of each scan, dealt out class by class."""
    person_of = {
        scan.key: same_person.get(scan.participant, scan.participant) for scan in scans
    }
    people: dict[str, float] = {}
    rows: dict[str, Mapping[str, str]] = {}
    for scan in sorted(scans, key=lambda scan: scan.key):
        label = 0.0 if labels is None else float(labels[scan.key])
        person = person_of[scan.key]
        # Of several sessions the highest: who became ill is a positive case.
        people[person] = max(label, people.get(person, label))
        rows.setdefault(person, scan.row)
    random = np.random.default_rng(seed)
    part: dict[str, int] = {}
    for name, members in _groups(people).items():
        codes = category_codes(
            [rows[one] for one in members], [people[one] for one in members]
        )
        found = stratify(codes, sizes(len(members), name), random)
        part |= dict(zip(members, found.tolist(), strict=True))
    return {key: part[person] for key, person in person_of.items()}


def _groups(people: Mapping[str, float]) -> dict[str, list[str]]:
    """Separate the two classes; numbers, or no labels, are one group."""
    values = sorted(set(people.values()))
    if len(values) != 2:
        return {"": sorted(people)}
    return {
        f" with label {value:g}": sorted(one for one in people if people[one] == value)
        for value in values
    }


def _part_sizes(
    count: int, name: str, validation_fraction: float, test_fraction: float
) -> list[int]:
    """Return how many go to training, validation and test."""
    held_out = [
        max(1, round(fraction * count)) if fraction else 0
        for fraction in (validation_fraction, test_fraction)
    ]
    if sum(held_out) >= count:
        raise CohortError(
            f"There are {count} participants{name}, but at least {sum(held_out) + 1} "
            "are needed for these fractions. Add participants, or set the test or "
            "validation fraction to 0."
        )
    return [count - sum(held_out), *held_out]
