"""Find one person under two names in a preprocessed cohort, one volume at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_overview import Member
from napari_neuropretrain.data.repeats import find_repeats, fingerprint
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.progress import Progress, Report

Print = NDArray[np.float32]


def find_same_brains(
    cohort: CohortEdits, report: Report
) -> tuple[tuple[int, int], ...]:
    """Return pairs of members whose volumes show the same brain.

    Parameters
    ----------
    cohort
        Members; those that are excluded are not compared.
    report
        Hears how far it is; may raise `Cancelled`. A raw cohort is a ``warning``:
        only aligned volumes can be compared.
    """
    if cohort.overview.kind != "preprocessed":
        message = (
            "The scans are raw: whether one person is there under two names can only "
            "be seen after preprocessing. Check the derivatives folder, too."
        )
        report(Progress("warning", message))
        return ()
    prints: dict[int, Print] = {}
    for done, (number, found) in enumerate(fingerprints(cohort)):
        if done % 20 == 0:
            report(Progress("step", "Comparing volumes", done, len(cohort.members)))
        prints[number] = found
    return pairs_of(cohort, prints)


def fingerprints(cohort: CohortEdits) -> Iterator[tuple[int, Print]]:
    """Read the volumes one by one; yield member and fingerprint.

    Volumes that cannot be read, or have another shape than the first, are left out:
    they are problems of their own.
    """
    shape: tuple[int, ...] | None = None
    for one in cohort.members:
        if one.path is None or cohort.excluded(one.number) or not _counts(one):
            continue
        try:
            volume = read_volume(one.path)
        except ImageError:
            continue
        shape = shape or volume.data.shape
        if volume.data.shape == shape:
            yield one.number, fingerprint(volume.data, volume.spacing_mm[0])


def pairs_of(
    cohort: CohortEdits, prints: dict[int, Print]
) -> tuple[tuple[int, int], ...]:
    """Return the pairs of different participants with one brain."""
    numbers = list(prints)
    people = [cohort.members[number].participant for number in numbers]
    found = find_repeats(list(prints.values()), people)
    return tuple((numbers[pair.one], numbers[pair.other]) for pair in found)


def _counts(member: Member) -> bool:
    return member.verdict != "reject"
