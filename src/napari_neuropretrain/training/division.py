"""Who of a labelled cohort is in which part: by a split file, or divided anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.repeats import (
    Repeat,
    find_repeats,
    fingerprint,
    same_people,
)
from napari_neuropretrain.data.split_files import read_splits
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.errors import ConfigError, LeakageError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.labelled_cohort import PARTS, check_parts, divide
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.volumes import Volumes, voxels_of

Fingerprint: TypeAlias = NDArray[np.float32]
_SHOWN = 10


def divide_by(
    config: FinetuneConfig,
    scans: Sequence[Scan],
    labels: Mapping[str, float],
    task: Task,
    report: Report,
    same_person: Mapping[str, str] | None = None,
) -> dict[str, Part]:
    """Return the part of each scan; scans that the split file lacks have none.

    Parameters
    ----------
    config
        The split file and fold, or the fractions and the seed.
    scans, labels, task
        As for `divide`.
    report
        Hears a ``warning`` of scans that the split file does not list.
    same_person
        As for `split_participants`; a split file is not changed by it.

    Raises
    ------
    CohortError
        If the parts cannot be used, or the file cannot be read.
    ConfigError
        If the fold does not fit the file.
    """
    if config.splits == NOTHING and config.fold:
        raise ConfigError(
            f"fold: {config.fold} of which division? Give the file with --splits; "
            "neuropretrain split --folds makes one."
        )
    if config.splits == NOTHING:
        fractions = (config.validation_fraction, config.test_fraction)
        return divide(scans, labels, task, fractions, config.seed, same_person)
    part_of = parts_of_people(config.splits, config.fold)
    listed = [scan for scan in scans if scan.participant in part_of]
    missing = sorted({scan.key for scan in scans} - {scan.key for scan in listed})
    if missing:
        message = (
            f"{len(missing)} scans are left out, because '{config.splits}' does not "
            f"list their participants: {_few(missing)}."
        )
        report(Progress("warning", message))
    parts = {scan.key: part_of[scan.participant] for scan in listed}
    check_parts(listed, labels, parts, task)
    return parts


def parts_of_people(path: Path, fold: int = 0) -> dict[str, Part]:
    """Return the part of each participant of a split file, ids with ``sub-``."""
    splits = read_splits(path, fold)
    people = {key.split("_")[0]: part for key, part in splits.items()}
    return {f"sub-{name.removeprefix('sub-')}": part for name, part in people.items()}


def fingerprints_of(volumes: Volumes, report: Report) -> dict[str, Fingerprint]:
    """Return what is particular to each brain, by scan key."""
    spacing, found = volumes.contract.spacing_mm, {}
    pairs = zip(volumes.scans, volumes.sources, strict=True)
    for index, (scan, source) in enumerate(pairs):
        if index % 100 == 0:
            report(Progress("step", "Comparing volumes", index, len(volumes.scans)))
        found[scan.key] = fingerprint(voxels_of(source), spacing)
    return found


def repeated_people(
    scans: Sequence[Scan], brains: Mapping[str, Fingerprint], report: Report
) -> tuple[tuple[str, str], ...]:
    """Return pairs of participants whose volumes show the same brain.

    Parameters
    ----------
    scans
        Of one cohort.
    brains
        As `fingerprints_of` returns them.
    report
        Hears a ``warning`` for each pair.
    """
    found = [brains[scan.key] for scan in scans]
    repeats = find_repeats(found, [scan.participant for scan in scans])
    for one in repeats:
        report(Progress("warning", _sentence(one, scans)))
    return tuple(
        (scans[one.one].participant, scans[one.other].participant) for one in repeats
    )


def _sentence(repeat: Repeat, scans: Sequence[Scan]) -> str:
    return (
        f"{scans[repeat.one].key} and {scans[repeat.other].key} show the same brain "
        f"(correlation {repeat.correlation:.2f}): one person under two names?"
    )


def keep_together(
    config: FinetuneConfig,
    pairs: Iterable[tuple[str, str]],
    parts: Mapping[str, Part],
    report: Report,
) -> Mapping[str, str]:
    """Return who is the same person, and refuse a split file that parts them.

    Raises
    ------
    LeakageError
        If the split file puts such a pair into two parts, and that is not allowed.
    """
    pairs = tuple(pairs)
    if config.splits == NOTHING:
        return same_people(pairs)
    part_of = {key.split("_")[0]: part for key, part in parts.items()}
    apart = [
        f"{one} ({part_of[one]}) and {other} ({part_of[other]})"
        for one, other in pairs
        if part_of[one] != part_of[other]
    ]
    if apart:
        message = (
            f"'{config.splits}' puts one person under two names into two parts: "
            f"{_few(apart)}."
        )
        if not config.allow_leakage:
            raise LeakageError(
                f"{message} Put them into one part, or leave one of them out. If they "
                "are different people: find_repeats: false, or allow_leakage: true."
            )
        report(Progress("warning", f"{message} This is allowed by allow_leakage."))
    return {}


def shuffle_labels(
    scans: Sequence[Scan],
    labels: Mapping[str, float],
    parts: Mapping[str, Part],
    seed: int,
) -> dict[str, float]:
    """Give each participant the labels of another one of the same part.

    Labels are moved by participant, so that scans of one person keep one label;
    within the parts, so that each keeps its groups.

    Parameters
    ----------
    scans, labels, parts
        Labels and parts by scan key.
    seed
        Same seed, same labels.

    Returns
    -------
    dict
        Label by scan key; several sessions of a person all get the other's first.
    """
    random = np.random.default_rng((seed, 6))
    first: dict[str, float] = {}
    part_of: dict[str, Part] = {}
    for scan in sorted(scans, key=lambda scan: scan.key):
        first.setdefault(scan.participant, labels[scan.key])
        part_of[scan.participant] = parts[scan.key]
    given: dict[str, float] = {}
    for part in PARTS:
        people = [name for name in first if part_of[name] == part]
        others = [people[index] for index in random.permutation(len(people))]
        given |= {one: first[other] for one, other in zip(people, others, strict=True)}
    return {scan.key: given[scan.participant] for scan in scans}


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
