"""Who takes part in a training: scans with a label, divided by participant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_neuropretrain.data.labels import missing_labels
from napari_neuropretrain.data.participants import (
    Cohort,
    Scan,
    binary_labels,
    numeric_labels,
)
from napari_neuropretrain.data.splits import Part, split_participants
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.training.task import Task

PARTS: tuple[Part, ...] = ("train", "validation", "test")
MIN_TRAINING = 4


@dataclass(frozen=True)
class Labels:
    """Labels by scan key, and the scans that should have had one."""

    values: Mapping[str, float]
    failures: tuple[Failure, ...] = ()


def read_labels(cohort: Cohort, task: Task, column: str, report: Report) -> Labels:
    """Read the labels of a cohort for a task.

    A scan without a value is a failure. A scan of a third group, for example
    mild cognitive impairment, is no failure: it is left out with a warning.

    Raises
    ------
    CohortError
        If the column is absent, empty or of the wrong kind.
    """
    values: Mapping[str, float]
    if task.kind == "binary":
        positive, negative = task.options.positive, task.options.negative
        values = binary_labels(cohort, column, positive, negative)
    else:
        values = numeric_labels(cohort, column)
    missing = missing_labels(cohort, column, values)
    empty = tuple(one for one in missing if one.reason.startswith("no value"))
    others = [one for one in missing if one not in empty]
    if others:
        groups = Counter(one.reason.split("'")[1] for one in others)
        counts = ", ".join(f"{count} {name}" for name, count in sorted(groups.items()))
        message = f"{len(others)} scans belong to neither group and are left out"
        report(Progress("warning", f"{message}: {counts}."))
    return Labels(values, empty)


def divide(
    scans: Sequence[Scan],
    labels: Mapping[str, float],
    task: Task,
    fractions: tuple[float, float],
    seed: int,
    same_person: Mapping[str, str] | None = None,
) -> dict[str, Part]:
    """Divide by participant into train, validation and test.

    Parameters
    ----------
    scans
        Usable scans with a label.
    labels
        Label by scan key.
    task
        Decides whether each part needs both groups.
    fractions
        Share of the participants for validation and for test.
    seed
        Same scans and seed, same division.
    same_person
        As for `split_participants`.

    Raises
    ------
    CohortError
        If a part is empty, lacks a group, or too few are left to train on; says
        how many there are.
    """
    parts = split_participants(scans, labels, *fractions, seed, same_person)
    check_parts(scans, labels, parts, task)
    return parts


def check_parts(
    scans: Sequence[Scan],
    labels: Mapping[str, float],
    parts: Mapping[str, Part],
    task: Task,
) -> None:
    """Refuse a division that cannot be trained, chosen or tested with.

    Raises
    ------
    CohortError
        As for `divide`.
    """
    people: dict[Part, dict[str, float]] = {part: {} for part in PARTS}
    for scan in scans:
        people[parts[scan.key]][scan.participant] = labels[scan.key]
    counts = "; ".join(
        f"{part}: {_describe(list(members.values()), task)}"
        for part, members in people.items()
    )
    problem = _problem(people, task)
    if problem:
        raise CohortError(
            f"{problem}. The participants are divided so: {counts}. Add participants, "
            "or change validation_fraction and test_fraction, or the split file."
        )


def _problem(people: Mapping[Part, Mapping[str, float]], task: Task) -> str:
    """Say what keeps a division from being used, or nothing."""
    if len(people["train"]) < MIN_TRAINING:
        return f"Training needs at least {MIN_TRAINING} participants"
    for part, members in people.items():
        if not members:
            return f"The {part} part is empty"
        if task.kind == "binary" and len(set(members.values())) < 2:
            return f"The {part} part needs at least one participant of each group"
    return ""


def _describe(labels: list[float], task: Task) -> str:
    if task.kind == "regression":
        return f"{len(labels)} participants"
    positive = sum(label > 0.5 for label in labels)
    return f"{positive} positive and {len(labels) - positive} negative"
