"""A cohort as it is, with all that is wrong in it: what the cohort panel shows.

`read_cohort` returns what a job can use, and refuses a table that contradicts
itself. Here nothing is refused: every line of the table and every scan is a member,
so that a person can see and mend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_neuropretrain.data.bids import find_bids_images, session_row
from napari_neuropretrain.data.cohort import Kind, Scan, bids_label
from napari_neuropretrain.data.participants import lone_scans
from napari_neuropretrain.data.quality import QualityRow, read_quality
from napari_neuropretrain.data.tables import (
    MISSING_VALUES,
    PARTICIPANT_COLUMNS,
    PATH_COLUMNS,
    SESSION_COLUMNS,
    TABLE_SUFFIXES,
    Row,
    find_column,
    image_stem,
    read_table,
)
from napari_neuropretrain.errors import CohortError

TABLE = "participants.tsv"


@dataclass(frozen=True)
class Member:
    """One scan, or one line of the table, or both.

    Parameters
    ----------
    number
        Position in the overview; a name for it that never changes.
    participant, session
        BIDS names; the text of the table where it cannot be one.
    path
        Image file or DICOM folder; None if there is none.
    line
        Index of its line in the table; None if it has none.
    elsewhere
        Values that come from another file, such as the sessions table of a BIDS
        dataset, and cannot be changed in the table.
    verdict, reason
        Quality of a preprocessed scan; empty if not known.
    """

    number: int
    participant: str
    session: str | None
    path: Path | None
    line: int | None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    verdict: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """Name of the scan, as in `Scan.key`."""
        return "_".join(part for part in (self.participant, self.session) if part)


@dataclass(frozen=True)
class Overview:
    """Everyone of a cohort.

    Parameters
    ----------
    root
        Folder or table that was opened.
    table
        Where the values are kept, or would be.
    text
        What the table held when it was read; None if there was none.
    columns
        Of the table, in its order.
    lines
        Of the table, as they were read.
    members
        By number.
    kind
        Whether the scans are preprocessed by this package.
    by_path
        Whether the table names the image of each line.
    """

    root: Path
    table: Path
    text: str | None
    columns: tuple[str, ...]
    lines: tuple[Row, ...]
    members: tuple[Member, ...]
    kind: Kind = "raw"
    by_path: bool = False


def read_overview(path: Path) -> Overview:
    """List everyone of a BIDS folder, a plain folder or a table.

    Parameters
    ----------
    path
        As for `read_cohort`.

    Raises
    ------
    CohortError
        If there is neither a scan nor a line, or the table cannot be read at all.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        return _of_table(path, path)
    if not path.is_dir():
        raise CohortError(
            f"'{path}' is no cohort. Give a BIDS folder, a folder of images, or a "
            f"table ({', '.join(TABLE_SUFFIXES)}) with a 'path' column."
        )
    table = path / TABLE
    images, kind = find_bids_images(path)
    if images:
        return _of_bids(path, table, images, kind)
    if table.exists() and find_column(_columns(table), PATH_COLUMNS):
        return _of_table(path, table)
    scans = lone_scans(path)
    if not scans:
        raise CohortError(
            f"There is no scan in '{path}'. Give a BIDS folder (sub-*/anat), a folder "
            "of NIfTI files, or a table with a 'path' column."
        )
    members = [
        Member(number, scan.participant, scan.session, scan.path, None)
        for number, scan in enumerate(scans)
    ]
    return Overview(path, table, _text(table), (), (), tuple(members), by_path=True)


def _of_table(root: Path, table: Path) -> Overview:
    """List the lines of a table that names images."""
    lines, columns = read_table(table), _columns(table)
    column = find_column(columns, PATH_COLUMNS)
    if column is None:
        raise CohortError(
            f"The table '{table}' has no column of image paths. Name one of its "
            f"columns {', '.join(repr(name) for name in PATH_COLUMNS)}; it has "
            f"{', '.join(repr(name) for name in columns)}."
        )
    members = []
    for index, line in enumerate(lines):
        known = line[column].lower() not in MISSING_VALUES
        place = table.parent / line[column] if known else None
        participant, session = names_of(line, image_stem(line[column]))
        there = place if place is not None and place.exists() else None
        members.append(Member(0, participant, session, there, index))
    return _overview(root, table, lines, columns, members, by_path=True)


def _of_bids(
    root: Path, table: Path, images: Mapping[str, list[Path]], kind: Kind
) -> Overview:
    """Join images and lines; what is left of either is a member of its own."""
    lines = read_table(table) if table.exists() else []
    columns = _columns(table) if table.exists() else ()
    by_key: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        participant, session = names_of(line)
        by_key.setdefault(_key(participant, session), []).append(index)
    members, used = [], set()
    for folder, runs in sorted(images.items()):
        name, _, visit = folder.partition("/")
        participant = bids_label("sub", name)
        session = bids_label("ses", visit) if visit else None
        key = _key(participant, session)
        found = next((k for k in (key, participant) if k in by_key), None)
        used.add(found)
        elsewhere = session_row(root, participant, session or "")
        for line_index in by_key.get(found or "", [None]):  # a name may be there twice
            scan = (participant, session, runs[0], line_index, elsewhere)
            members.append(Member(0, *scan))
    for key, indices in by_key.items():
        for index in indices if key not in used else ():
            members.append(Member(0, *names_of(lines[index]), None, index))
    return _overview(root, table, lines, columns, members, kind, read_quality(root))


def _overview(
    root: Path,
    table: Path,
    lines: Iterable[Row],
    columns: Iterable[str],
    members: Iterable[Member],
    kind: Kind = "raw",
    quality: Mapping[str, QualityRow] | None = None,
    by_path: bool = False,
) -> Overview:
    """Give the members numbers and verdicts."""
    numbered = []
    for number, one in enumerate(sorted(members, key=lambda one: one.key)):
        row = (quality or {}).get(one.key)
        judged = (row.final, row.note or row.reason) if row else ("", "")
        place = (one.participant, one.session, one.path, one.line, one.elsewhere)
        numbered.append(Member(number, *place, *judged))
    parts = (tuple(columns), tuple(lines), tuple(numbered), kind, by_path)
    return Overview(root, table, _text(table), *parts)


def names_of(line: Mapping[str, str], otherwise: str = "") -> tuple[str, str | None]:
    """Return participant and session of a line, as BIDS names where that can be.

    Examples
    --------
    >>> names_of({"participant_id": "IXI012-HH", "session_id": "2"})
    ('sub-IXI012HH', 'ses-2')
    >>> names_of({"participant_id": "?"})
    ('?', None)
    """
    found = []
    for prefix, columns, default in (
        ("sub", PARTICIPANT_COLUMNS, otherwise),
        ("ses", SESSION_COLUMNS, ""),
    ):
        column = find_column(line, columns)
        text = line[column] if column else default
        if text.lower() in MISSING_VALUES and not (prefix == "sub" and text):
            found.append("")
            continue
        try:
            found.append(bids_label(prefix, text))
        except CohortError:
            found.append(text)
    return found[0], found[1] or None


def _key(participant: str, session: str | None) -> str:
    return Scan(participant, session, Path()).key


def _columns(table: Path) -> tuple[str, ...]:
    """Return the names in a table's header, also where it has no lines."""
    rows = read_table(table)
    return tuple(rows[0]) if rows else ()


def _text(table: Path) -> str | None:
    return table.read_text(encoding="utf-8-sig") if table.exists() else None
