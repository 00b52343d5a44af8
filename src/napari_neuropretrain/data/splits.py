"""Divide participants into training, validation and test, and keep the division."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

import numpy as np

from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.errors import CohortError, ConfigError

Part: TypeAlias = Literal["train", "validation", "test"]

_BINS = 5
"""Quantile bins of a numeric label; a part draws evenly from each."""


def split_participants(
    scans: Iterable[Scan],
    labels: Mapping[str, float] | None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> dict[str, Part]:
    """Assign each scan to a part, never one participant to two.

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
    used = [scan for scan in scans if labels is None or scan.key in labels]
    people = _label_of_participants(used, labels)
    random = np.random.default_rng(seed)
    part_of: dict[str, Part] = {}
    for name, members in _groups(people).items():
        ordered = _in_quantile_order(members, people, random)
        part_of |= _divide(name, ordered, validation_fraction, test_fraction, random)
    return {scan.key: part_of[scan.participant] for scan in used}


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    total = validation_fraction + test_fraction
    if min(validation_fraction, test_fraction) < 0 or not total < 1:
        raise ConfigError(
            f"A validation fraction of {validation_fraction} and a test fraction of "
            f"{test_fraction} leave nothing to train on. Both must be at least 0, and "
            "their sum below 1."
        )


def _label_of_participants(
    scans: list[Scan], labels: Mapping[str, float] | None
) -> dict[str, float]:
    """Return one label per participant, sorted by name.

    Of several sessions the highest counts, so that a person who became ill is a
    positive case.
    """
    people: dict[str, float] = {}
    for scan in sorted(scans, key=lambda scan: scan.key):
        label = 0.0 if labels is None else float(labels[scan.key])
        people[scan.participant] = max(label, people.get(scan.participant, label))
    return people


def _groups(people: Mapping[str, float]) -> dict[str, list[str]]:
    """Separate the two classes; numbers, or no labels, are one group."""
    values = sorted(set(people.values()))
    if len(values) != 2:
        return {"": list(people)}
    return {
        f" with label {value:g}": [one for one in people if people[one] == value]
        for value in values
    }


def _in_quantile_order(
    members: list[str], people: Mapping[str, float], random: np.random.Generator
) -> list[str]:
    """Order by quantile bin of the label, at random within a bin."""
    shuffled = [members[index] for index in random.permutation(len(members))]
    by_label = sorted(members, key=lambda one: people[one])
    bin_of = {one: i * _BINS // len(members) for i, one in enumerate(by_label)}
    if len({people[one] for one in members}) == 1:
        return shuffled
    return sorted(shuffled, key=lambda one: bin_of[one])


def _divide(
    name: str,
    ordered: list[str],
    validation_fraction: float,
    test_fraction: float,
    random: np.random.Generator,
) -> dict[str, Part]:
    """Draw test and validation evenly along the order; the rest is for training."""
    counts: dict[Part, int] = {
        part: max(1, round(fraction * len(ordered))) if fraction else 0
        for part, fraction in zip(
            get_args(Part)[1:], (validation_fraction, test_fraction), strict=True
        )
    }
    if sum(counts.values()) >= len(ordered):
        needed = sum(counts.values()) + 1
        raise CohortError(
            f"There are {len(ordered)} participants{name}, but at least {needed} are "
            "needed for these fractions. Add participants, or set the test or "
            "validation fraction to 0."
        )
    part_of: dict[str, Part] = dict.fromkeys(ordered, "train")
    for part in ("test", "validation"):
        left = [one for one in ordered if part_of[one] == "train"]
        if counts[part]:
            drawn = _evenly(len(left), counts[part], random)
            part_of |= {left[index]: part for index in drawn}
    return part_of


def _evenly(total: int, count: int, random: np.random.Generator) -> list[int]:
    """Return one random index from each of `count` equal stretches of `total`."""
    edges = [step * total // count for step in range(count)] + [total]
    return [int(random.integers(low, high)) for low, high in pairwise(edges)]


def write_splits(path: str | os.PathLike[str], splits: Mapping[str, Part]) -> Path:
    """Write a division as a TSV file that is either whole or not there at all.

    Parameters
    ----------
    path
        The file; its columns are participant_id, session_id and split.
    splits
        Part by scan key.
    """
    path = Path(path)
    lines = ["participant_id\tsession_id\tsplit"]
    for key, part in sorted(splits.items()):
        participant, _, session = key.partition("_")
        lines.append(f"{participant}\t{session or 'n/a'}\t{part}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".part-{os.getpid()}-{path.name}")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def read_splits(path: str | os.PathLike[str]) -> dict[str, Part]:
    """Read a division that `write_splits` wrote, or that a person made.

    Raises
    ------
    CohortError
        If a column is missing, a part has another name, or a participant is in
        two parts.
    """
    path = Path(path)
    splits: dict[str, Part] = {}
    part_of: dict[str, str] = {}
    for row in read_table(path):
        if not {"participant_id", "split"} <= row.keys():
            raise CohortError(
                f"'{path}' needs the columns 'participant_id' and 'split'; it has "
                f"{', '.join(repr(name) for name in row)}."
            )
        participant, session, part = _read_row(path, row)
        if part_of.setdefault(participant, part) != part:
            raise CohortError(
                f"'{path}' puts {participant} into '{part_of[participant]}' and into "
                f"'{part}'. Keep all sessions of a participant in one part."
            )
        splits[f"{participant}_{session}" if session else participant] = part
    return splits


def _read_row(path: Path, row: Mapping[str, str]) -> tuple[str, str, Part]:
    participant, part = row["participant_id"], row["split"]
    session = row.get("session_id", "")
    if part not in get_args(Part):
        raise CohortError(
            f"'{path}' gives {participant} the split '{part}'; allowed are "
            f"{', '.join(get_args(Part))}."
        )
    return participant, "" if session == "n/a" else session, cast("Part", part)
