"""What is wrong with the scans of a cohort: files, shapes, orientation, copies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_overview import Member
from napari_neuropretrain.data.problems import Problem, count, few
from napari_neuropretrain.data.scan_headers import Header

_MOST_OBLIQUE_DEGREES = 25.0
_THICKEST_MM = 3.0
_LEAST_EXTENT_MM, _MOST_EXTENT_MM = 110.0, 400.0
_MAJORITY = 0.8
_OTHER_CONTRAST = re.compile(
    r"(?:^|[_\-. ])(T2w?|FLAIR|PDw?|bold|dwi|asl|swi|t2star|fieldmap|epi)(?:[_\-. ]|$)",
    re.IGNORECASE,
)
SAME_FILE = "same content"


def scan_problems(
    cohort: CohortEdits, headers: Mapping[int, Header]
) -> Iterator[Problem]:
    """Find what is wrong with the files.

    Parameters
    ----------
    cohort
        Members; who is excluded does not count.
    headers
        Header by member, of those that were read so far.
    """
    used = [one for one in cohort.members if not cohort.excluded(one.number)]
    yield from _missing(cohort, used)
    known = {one.number: headers[one.number] for one in used if one.number in headers}
    readable = {n: header for n, header in known.items() if not header.problem}
    for number, header in known.items():
        if header.problem:
            key = cohort.members[number].key
            text = f"{key}: {header.problem.partition('. ')[0].rstrip('.')}."
            advice = header.problem.partition(". ")[2] or "Copy the scan again."
            yield Problem("error", "not a T1 volume", text, advice, (number,))
    yield from _other_contrast(used)
    yield from _geometry(cohort, readable)
    yield from _orientation(cohort, readable)
    yield from _copies(cohort, readable)


def _missing(cohort: CohortEdits, used: Sequence[Member]) -> Iterator[Problem]:
    """Find lines without a scan, and scans without a line."""
    lost = [one for one in used if one.path is None]
    if lost:
        text = f"{count(len(lost), 'line')} of the table without a scan: "
        text += f"{few([one.key for one in lost])}."
        where = (
            "write the right path" if cohort.overview.by_path else "put each at sub-*"
        )
        where += "" if cohort.overview.by_path else "/anat/sub-*_T1w.nii.gz"
        advice = f"Find the files and {where}, or exclude these lines."
        numbers = tuple(one.number for one in lost)
        yield Problem("error", "missing file", text, advice, numbers)
    bare = [one for one in used if one.line is None]
    if bare and cohort.overview.text is not None:
        text = f"{count(len(bare), 'scan')} without a line in the table: "
        text += f"{few([one.key for one in bare])}."
        advice = "Fill in age, sex or label here, and save: the line is added."
        numbers = tuple(one.number for one in bare)
        yield Problem("warning", "no line", text, advice, numbers)


def _other_contrast(used: Sequence[Member]) -> Iterator[Problem]:
    for one in used:
        match = _OTHER_CONTRAST.search(one.path.name) if one.path else None
        if match:
            text = f"{one.key}: by its name '{one.path and one.path.name}' is no T1."
            advice = "Give the T1-weighted scan, or exclude it."
            yield Problem("warning", "not a T1 volume", text, advice, (one.number,))


def _geometry(cohort: CohortEdits, headers: Mapping[int, Header]) -> Iterator[Problem]:
    """Find thick slices, slabs, and preprocessed volumes of another grid."""
    shapes = Counter((h.shape, _rounded(h)) for h in headers.values() if h.shape)
    if cohort.overview.kind == "preprocessed" and len(shapes) > 1:
        usual = shapes.most_common(1)[0][0]
        odd = [
            n for n, h in headers.items() if h.shape and (h.shape, _rounded(h)) != usual
        ]
        text = f"{count(len(odd), 'volume')} of another shape or spacing than the "
        text += f"others ({'x'.join(map(str, usual[0]))}): {_names(cohort, odd)}."
        advice = "Preprocess them again with the settings of the others."
        yield Problem("error", "odd shape", text, advice, tuple(odd))
    if cohort.overview.kind == "preprocessed":
        return
    for number, header in headers.items():
        if not header.shape:
            continue
        key, extent = cohort.members[number].key, header.extent_mm
        sizes = " x ".join(f"{size:.4g}" for size in header.spacing_mm)
        if max(header.spacing_mm) > _THICKEST_MM:
            text = f"{key} has thick slices ({sizes} mm)."
            advice = "Use the 3D T1 scan (about 1 mm), if there is one."
            yield Problem("warning", "odd shape", text, advice, (number,))
        elif min(extent) < _LEAST_EXTENT_MM or max(extent) > _MOST_EXTENT_MM:
            sides = " x ".join(f"{side:.0f}" for side in extent)
            text = f"{key} covers {sides} mm, which is no whole head."
            advice = "Look at it; check its voxel sizes, or exclude it."
            yield Problem("warning", "odd shape", text, advice, (number,))


def _orientation(
    cohort: CohortEdits, headers: Mapping[int, Header]
) -> Iterator[Problem]:
    """Find scans of which it is not sure, or unusual, how they lie."""
    lost = tuple(n for n, header in headers.items() if not header.oriented)
    if lost:
        text = (
            f"{count(len(lost), 'file')} that do not say how they lie (sform and qform "
        )
        text += f"are 0): {_names(cohort, lost)}."
        advice = "Left and right may be swapped: convert them again from DICOM."
        yield Problem("error", "odd orientation", text, advice, lost)
    for number, header in headers.items():
        if header.oblique_degrees > _MOST_OBLIQUE_DEGREES:
            key = cohort.members[number].key
            text = f"{key} is tilted by {header.oblique_degrees:.0f} degrees."
            advice = "Look at it: is the head upright after opening it?"
            yield Problem("warning", "odd orientation", text, advice, (number,))
    axes = Counter(header.axes for header in headers.values() if header.axes)
    usual, most = (axes.most_common(1) or [("", 0)])[0]
    if most < axes.total() and most >= _MAJORITY * axes.total():
        odd = tuple(n for n, h in headers.items() if h.axes and h.axes != usual)
        text = (
            f"{count(len(odd), 'scan')} stored in another order than the other {most} "
        )
        text += f"({usual}): {_names(cohort, odd)}."
        advice = "Usually harmless; look at one, and see that up is up."
        yield Problem("note", "odd orientation", text, advice, odd)


def copies(headers: Mapping[int, Header]) -> list[tuple[int, ...]]:
    """Return groups of members whose files hold the same bytes."""
    groups: dict[str, list[int]] = {}
    for number, header in headers.items():
        if header.content:
            groups.setdefault(header.content, []).append(number)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _copies(cohort: CohortEdits, headers: Mapping[int, Header]) -> Iterator[Problem]:
    for group in copies(headers):
        paths = {cohort.members[number].path for number in group}
        if len(paths) < 2:  # two lines of one participant
            continue
        text = f"{_names(cohort, group)} have the same content: copies of one file."
        advice = "Keep one of them, and exclude the others."
        yield Problem("error", SAME_FILE, text, advice, group)


def _rounded(header: Header) -> tuple[float, ...]:
    return tuple(round(size, 3) for size in header.spacing_mm)


def _names(cohort: CohortEdits, numbers: Sequence[int]) -> str:
    return few([cohort.members[number].key for number in numbers])
