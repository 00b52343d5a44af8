"""Refuse a test on people whom the initial weights know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.errors import LeakageError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.weights.ancestry import (
    cohorts_behind,
    origin_of,
    seen_among,
)
from napari_neuropretrain.weights.model_card import CohortSummary

_SHOWN = 20


def check_leakage(
    scans: Iterable[Scan],
    parts: Mapping[str, Part],
    config: FinetuneConfig,
    report: Report,
) -> None:
    """Compare the parts with everyone the initial weights learned from.

    Participants are told by their ids, which the files of the weights hold as
    salted hashes. The training part may overlap: both are training.

    Parameters
    ----------
    scans, parts
        Who is in which part, by scan key.
    config
        The initial weights, and whether leakage is allowed.
    report
        Hears a ``warning`` of validation participants that the weights know, of
        weights whose participants nobody has listed, and of allowed leakage.

    Raises
    ------
    LeakageError
        If the weights were trained on, or validated with, someone of the test part.
    """
    source = config.initial_weights
    if not source:
        return
    cohorts = cohorts_behind(source)
    if not cohorts:
        message = (
            "It cannot be checked whether the initial weights know people of the test "
            f"part: nobody has listed whom they learned from ({origin_of(source)})."
        )
        report(Progress("warning", message))
        return
    people: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for scan in scans:
        people[parts[scan.key]].add(scan.participant)
    _judge_test(people["test"], cohorts, config, report)
    if known := seen_among(people["validation"], cohorts):
        message = (
            f"{len(known)} of {len(people['validation'])} validation participants were "
            f"in the pre-training of '{source}': the validation may look too good."
        )
        report(Progress("warning", message, values={"participants": list(known)}))


def _judge_test(
    people: set[str],
    cohorts: tuple[CohortSummary, ...],
    config: FinetuneConfig,
    report: Report,
) -> None:
    """Refuse, or where that is allowed warn of, test participants who are known."""
    known = seen_among(people, cohorts)
    if not known:
        return
    message = (
        f"{len(known)} of {len(people)} participants of the test part were in the "
        f"pre-training of '{config.initial_weights}': {name_few(known)}."
    )
    if not config.allow_leakage:
        raise LeakageError(
            f"{message} A test on them says little about new people. Pre-train without "
            "them, start from other weights, or set allow_leakage: true."
        )
    said = f"{message} This is allowed by allow_leakage."
    report(Progress("warning", said, values={"participants": list(known)}))


def name_few(names: tuple[str, ...]) -> str:
    """Write the first names of many."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
