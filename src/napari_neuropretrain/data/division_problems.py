"""Who of a cohort is in which part of a division, and who is in two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.problems import Problem, count, few
from napari_neuropretrain.data.split_files import SPLITS
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.errors import CohortError

PARTS: tuple[str, ...] = get_args(Part)


@dataclass(frozen=True)
class Division:
    """A split file as it is, also where it contradicts itself.

    Parameters
    ----------
    path
        The file.
    parts
        Parts of each participant, in the order of the file; ``"fold 2"`` for folds.
    """

    path: Path
    parts: Mapping[str, tuple[str, ...]]

    def part_of(self, participant: str) -> str:
        """Return the part of a participant; both where it is in two; or nothing.

        Examples
        --------
        >>> Division(Path("s.tsv"), {"sub-1": ("train", "test")}).part_of("sub-1")
        'train + test'
        """
        return " + ".join(self.parts.get(participant, ()))


def read_division(path: Path) -> Division:
    """Read a split file, or that of a run.

    Parameters
    ----------
    path
        A table with the columns participant_id and split or fold, or a run folder
        that holds one.

    Raises
    ------
    CohortError
        If there is none, or it lacks these columns.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / SPLITS).is_file():
            raise CohortError(
                f"There is no {SPLITS} in '{path}'. Give the run folder of a "
                "fine-tuning or of a split, or a split file."
            )
        path = path / SPLITS
    rows = read_table(path)
    columns = rows[0].keys() if rows else ()
    column = next((name for name in ("split", "fold") if name in columns), None)
    if column is None or "participant_id" not in columns:
        raise CohortError(
            f"'{path}' needs the columns 'participant_id' and 'split' (or 'fold'); it "
            f"has {', '.join(repr(name) for name in columns) or 'no line'}."
        )
    parts: dict[str, dict[str, None]] = {}
    for row in rows:
        name = f"sub-{row['participant_id'].removeprefix('sub-').partition('_')[0]}"
        part = row[column] if column == "split" else f"fold {row[column]}"
        parts.setdefault(name, {})[part] = None
    return Division(path, {name: tuple(found) for name, found in parts.items()})


def division_problems(
    cohort: CohortEdits,
    division: Division,
    same: Iterable[Sequence[int]] = (),
) -> Iterator[Problem]:
    """Find leaks between the parts of a division.

    Parameters
    ----------
    cohort
        Members; who is excluded does not count.
    division
        Who is in which part.
    same
        Groups of members that are one person: copies of one file, or one brain
        under two names.
    """
    used = [one for one in cohort.members if not cohort.excluded(one.number)]
    listed = [one for one in used if one.participant in division.parts]
    yield from _in_two_parts(cohort, division)
    for group in same:
        apart = [n for n in group if not cohort.excluded(n)]
        named = {n: division.part_of(cohort.members[n].participant) for n in apart}
        if len({part for part in named.values() if part}) > 1:
            said = [f"{cohort.members[n].key} ({named[n] or 'none'})" for n in apart]
            text = f"{' and '.join(said)} are one person in two parts."
            yield Problem(
                "error",
                "leak",
                text,
                "Put them into one part, or exclude one.",
                tuple(apart),
            )
    for part in sorted({p for found in division.parts.values() for p in found}):
        if part not in PARTS and not part.startswith("fold "):
            numbers = tuple(
                one.number for one in listed if part in division.parts[one.participant]
            )
            text = f"'{part}' in '{division.path.name}' is no part."
            advice = f"Write one of {', '.join(PARTS)}."
            yield Problem("error", "division", text, advice, numbers)
    missing = [one for one in used if one.participant not in division.parts]
    if missing:
        text = f"{count(len(missing), 'scan')} not in '{division.path.name}': "
        text += f"{few([one.key for one in missing])}."
        advice = "They are left out of a training with this file. Make a new split, if "
        advice += "they are to be used."
        numbers = tuple(one.number for one in missing)
        yield Problem("warning", "division", text, advice, numbers)


def _in_two_parts(cohort: CohortEdits, division: Division) -> Iterator[Problem]:
    for name, parts in division.parts.items():
        if len(parts) < 2:
            continue
        numbers = tuple(one.number for one in cohort.members if one.participant == name)
        text = f"{name} is in {' and in '.join(parts)}."
        advice = "Keep all scans of a participant in one part, or make a new split."
        yield Problem("error", "leak", text, advice, numbers)
