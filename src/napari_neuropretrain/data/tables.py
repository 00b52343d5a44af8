"""Tables of participants: CSV and TSV files as rows of text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from napari_neuropretrain.data.cohort import Scan, bids_label
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure

Row: TypeAlias = dict[str, str]

TABLE_SUFFIXES = (".tsv", ".csv")
PATH_COLUMNS = ("path", "file", "filename", "image", "t1", "scan")
PARTICIPANT_COLUMNS = ("participant_id", "participant", "subject_id", "subject", "id")
SESSION_COLUMNS = ("session_id", "session")
EXCLUDE_COLUMN = "exclude"
"""Says who of a cohort is left out; any other value than those for yes is no."""
YES = frozenset({"yes", "true", "1", "x"})
MISSING_VALUES = frozenset({"", "n/a", "na", "nan", "none", "null"})
"""Ways to say that a value is not known, in lower case."""


def read_table(path: Path) -> list[Row]:
    """Read a CSV or TSV file with a header line.

    Returns
    -------
    list of dict
        One per line, column name to text without surrounding spaces.

    Raises
    ------
    CohortError
        If the file is missing, empty, not text, or a line has more values than
        the header has names.
    """
    try:
        # Spreadsheets write a byte order mark, which is no part of the first name.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CohortError(f"There is no table '{path}'. Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(
            f"The table '{path}' cannot be read as text ({error}). Save it as UTF-8."
        ) from None
    lines = _split(path, text)
    header = [name.strip() for name in lines[0]]
    _check_header(path, header)
    rows = []
    for number, values in enumerate(lines[1:], start=2):
        if not any(value.strip() for value in values):
            continue
        if len(values) > len(header):
            raise CohortError(
                f"Line {number} of '{path}' has {len(values)} values, but the header "
                f"has {len(header)} names. Quote values that hold a separator."
            )
        padded = [*values, *[""] * (len(header) - len(values))]
        rows.append(dict(zip(header, map(str.strip, padded), strict=True)))
    return rows


def _split(path: Path, text: str) -> list[list[str]]:
    """Return the values of each line; the first line is the header."""
    if not text.strip():
        raise CohortError(f"The table '{path}' is empty. It needs a header line.")
    stream = io.StringIO(text, newline="")
    try:
        return list(csv.reader(stream, delimiter=delimiter_of(path, text)))
    except csv.Error as error:
        raise CohortError(
            f"'{path}' is not a table ({error}). Save it again."
        ) from None


def _check_header(path: Path, header: list[str]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise CohortError(
            f"The table '{path}' has several columns named "
            f"{', '.join(repr(name) for name in twice)}. Rename them."
        )


def find_column(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """Return the first column that is one of `names`, in any letter case.

    Examples
    --------
    >>> find_column(["Participant_ID", "age"], ["participant_id"])
    'Participant_ID'
    """
    known = {column.lower(): column for column in columns}
    return next((known[name] for name in names if name in known), None)


def is_excluded(row: Mapping[str, str]) -> bool:
    """Whether a row says that its scan is to be left out.

    Examples
    --------
    >>> is_excluded({"Exclude": "Yes"}), is_excluded({"exclude": "n/a"})
    (True, False)
    """
    column = find_column(row, (EXCLUDE_COLUMN,))
    return column is not None and row[column].lower() in YES


def delimiter_of(path: Path, text: str) -> str:
    """Return what separates the values of a table: a tab in TSV, by count in CSV."""
    first = (text.splitlines() or [""])[0]
    # Spreadsheets of half of Europe separate "CSV" by semicolons.
    csv_delimiter = max(",;\t", key=first.count)
    return "\t" if path.suffix.lower() == ".tsv" else csv_delimiter


def rows_by_key(path: Path, rows: Iterable[Row]) -> dict[str, Row]:
    """Index the rows of a participants table by scan key.

    A row without a session is found under the participant alone.

    Raises
    ------
    CohortError
        If there is no column of participants, a participant is listed twice with
        the same session, or two different ids become the same BIDS name.
    """
    rows = list(rows)
    column = find_column(rows[0] if rows else (), PARTICIPANT_COLUMNS)
    if rows and column is None:
        raise CohortError(
            f"The table '{path}' has no 'participant_id' column; its columns are "
            f"{', '.join(repr(name) for name in rows[0])}. Add one."
        )
    indexed: dict[str, Row] = {}
    twice = []
    names: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        participant, session = _entities(path, number, row)
        _check_collision(path, names, participant, row[str(column)])
        key = f"{participant}_{session}" if session else participant
        if key in indexed:
            twice.append(key)
        indexed[key] = row
    if twice:
        raise CohortError(
            f"The table '{path}' lists {', '.join(sorted(set(twice)))} more than "
            "once. Keep one row per participant and session; add a 'session_id' "
            "column if they were scanned several times."
        )
    return indexed


def _check_collision(
    path: Path, names: dict[str, str], participant: str, name: str
) -> None:
    """Refuse two ids that differ only in characters BIDS names cannot hold."""
    bare = name.removeprefix("sub-")
    other = names.setdefault(participant, bare)
    if other != bare:
        raise CohortError(
            f"The participants '{other}' and '{bare}' of '{path}' both become "
            f"'{participant}', because BIDS names hold letters and digits only. "
            "Rename one of them."
        )


def _entities(
    path: Path, number: int, row: Mapping[str, str]
) -> tuple[str, str | None]:
    """Return the participant and session of a row as BIDS entities."""
    column = find_column(row, PARTICIPANT_COLUMNS)
    name = row[column] if column else ""
    # "NA" or "none" may well be somebody's initials.
    if name in ("", "n/a"):
        raise CohortError(
            f"Row {number} of '{path}' names no participant. Fill in its id, or "
            "delete the row."
        )
    column = find_column(row, SESSION_COLUMNS)
    session = row[column] if column else ""
    known = session.lower() not in MISSING_VALUES
    return bids_label("sub", name), bids_label("ses", session) if known else None


def scans_of_table(path: Path, rows: list[Row]) -> tuple[list[Scan], list[Failure]]:
    """Return the scans a table with a path column names.

    Relative paths start at the table's folder. Without a participant column, the
    file names serve as ids.

    Raises
    ------
    CohortError
        As `rows_by_key`.
    """
    if not rows:
        raise CohortError(f"The table '{path}' has no rows. Add one for each scan.")
    column = find_column(rows[0], PATH_COLUMNS)
    if column is None:
        raise CohortError(
            f"The table '{path}' has no column of image paths. Name one of its "
            f"columns {', '.join(repr(name) for name in PATH_COLUMNS)}; it has "
            f"{', '.join(repr(name) for name in rows[0])}."
        )
    if find_column(rows[0], PARTICIPANT_COLUMNS) is None:
        rows = [{"participant_id": image_stem(row[column]), **row} for row in rows]
    scans, problems = [], []
    for key, row in rows_by_key(path, rows).items():
        participant, _, session = key.partition("_")
        place = path.parent / row[column]
        if row[column].lower() in MISSING_VALUES:
            problems.append(Failure(key, f"'{path.name}' gives no path for it"))
        elif not place.exists():
            problems.append(Failure(key, f"there is no file '{place}'"))
        else:
            scans.append(Scan(participant, session or None, place, row))
    return scans, problems


def image_stem(name: str) -> str:
    """Return a file name without folder and image suffix.

    Examples
    --------
    >>> image_stem("t1/IXI012-HH-1211_T1.nii.gz")
    'IXI012-HH-1211_T1'
    """
    stem = Path(name).name
    for suffix in (".gz", ".nii", ".mgz", ".mgh"):
        stem = stem.removesuffix(suffix)
    return stem
