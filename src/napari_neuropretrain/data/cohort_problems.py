"""Everything that is wrong in a cohort, for the panel and for ``check-cohort``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.division_problems import Division, division_problems
from napari_neuropretrain.data.problems import Problem, few, sorted_problems
from napari_neuropretrain.data.scan_headers import Header
from napari_neuropretrain.data.scan_problems import copies, scan_problems
from napari_neuropretrain.data.table_problems import table_problems


def find_problems(
    cohort: CohortEdits,
    label: str = "",
    headers: Mapping[int, Header] | None = None,
    division: Division | None = None,
    brains: Sequence[tuple[int, int]] = (),
) -> tuple[Problem, ...]:
    """Return what is wrong, the worst first.

    Parameters
    ----------
    cohort
        The table and scans, with what was changed.
    label
        Column with the label; empty for none.
    headers
        Header by member, of those that were read.
    division
        Who is in which part; None for no division.
    brains
        Pairs of members whose volumes show the same brain (`find_repeats`).
    """
    known = headers or {}
    found = [*table_problems(cohort, label), *scan_problems(cohort, known)]
    found += _same_brains(cohort, brains)
    if division is not None:
        found += division_problems(cohort, division, [*copies(known), *brains])
    found += _rejected(cohort)
    return sorted_problems(found)


def _same_brains(
    cohort: CohortEdits, brains: Sequence[tuple[int, int]]
) -> Iterator[Problem]:
    for pair in brains:
        if any(cohort.excluded(number) for number in pair):
            continue
        one, other = (cohort.members[number].key for number in pair)
        text = f"{one} and {other} show the same brain: one person under two names?"
        advice = "Look at both. If it is one person, exclude one, or give both one id."
        yield Problem("error", "same brain", text, advice, pair)


def _rejected(cohort: CohortEdits) -> Iterator[Problem]:
    """Name those whom the quality table leaves out anyway."""
    gone = [one for one in cohort.members if one.verdict == "reject"]
    if gone:
        text = (
            f"Rejected for their quality, and left out: {few([m.key for m in gone])}."
        )
        advice = "To use them, decide 'keep' in Review quality."
        numbers = tuple(one.number for one in gone)
        yield Problem("note", "rejected", text, advice, numbers)
