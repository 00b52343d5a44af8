"""Changes to the table of a cohort: made in memory, undone, saved as a whole."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.cohort_overview import Member, Overview
from napari_neuropretrain.data.tables import (
    EXCLUDE_COLUMN,
    MISSING_VALUES,
    PARTICIPANT_COLUMNS,
    PATH_COLUMNS,
    YES,
    Row,
    delimiter_of,
    find_column,
)
from napari_neuropretrain.errors import CohortError

NOT_KNOWN = "n/a"
"""What BIDS writes where a value is not known."""


class CohortEdits:
    """The lines of a cohort's table, as a person changes them.

    Parameters
    ----------
    overview
        The cohort as it was read.
    """

    def __init__(self, overview: Overview) -> None:
        self.overview = overview
        self._columns = list(overview.columns)
        # Asked for thousands of times, in any letter case.
        self._names = {name.lower(): name for name in reversed(overview.columns)}
        self._lines: list[Row] = [dict(line) for line in overview.lines]
        self._line_of = {one.number: one.line for one in overview.members}
        self._text_read = overview.text
        self._done: list[tuple[int, str, str | None]] = []

    @property
    def members(self) -> tuple[Member, ...]:
        """Everyone, by number."""
        return self.overview.members

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table, and those that come from another file."""
        others = (name for one in self.members for name in one.elsewhere)
        return tuple(dict.fromkeys([*self._columns, *others]))

    @property
    def changes(self) -> int:
        """How many cells were changed since the table was read or saved."""
        return len(self._done)

    def value(self, number: int, column: str) -> str:
        """Return a member's value of a column, in any letter case; empty if none."""
        elsewhere = self.overview.members[number].elsewhere
        if elsewhere and (name := find_column(elsewhere, (column.lower(),))):
            return elsewhere[name]
        found = self._names.get(column.lower())
        return self._line(number).get(found, "") if found else ""

    def row(self, number: int) -> Mapping[str, str]:
        """Return all values of a member, by column."""
        return {**self._line(number), **self.members[number].elsewhere}

    def excluded(self, number: int) -> bool:
        """Whether the table leaves a member out."""
        name = self._names.get(EXCLUDE_COLUMN)
        return name is not None and self._line(number).get(name, "").lower() in YES

    def is_fixed(self, number: int, column: str) -> bool:
        """Whether a value comes from another file than the table."""
        return (
            find_column(self.members[number].elsewhere, (column.lower(),)) is not None
        )

    def set(self, number: int, column: str, text: str) -> bool:
        """Change a cell; return whether anything is different now.

        Raises
        ------
        CohortError
            If the value comes from another file, such as a sessions table.
        """
        member, words = self.members[number], " ".join(text.split())
        if self.is_fixed(number, column):
            raise CohortError(
                f"'{column}' of {member.key} comes from its sessions table, not from "
                f"'{self.overview.table.name}'. Change it there."
            )
        before = self.value(number, column)
        if before == words or not (_known(before) or _known(words)):
            return False
        cell = self._line(number).get(self._names.get(column.lower(), ""))
        self._write(number, column, words if _known(words) else NOT_KNOWN)
        self._done.append((number, column, cell))
        return True

    def exclude(self, numbers: Iterable[int], excluded: bool = True) -> int:
        """Leave members out of every job, or take them in; return how many changed."""
        wanted = [one for one in numbers if self.excluded(one) != excluded]
        text = "yes" if excluded else NOT_KNOWN
        # Sessions may share a line, which need not be written twice.
        return sum(self.set(one, EXCLUDE_COLUMN, text) for one in wanted)

    def undo(self) -> int | None:
        """Take the last change back; return whose it was, or None."""
        if not self._done:
            return None
        number, column, before = self._done.pop()
        if before is None:
            self._drop_cell(number, self._names[column.lower()])
        else:
            self._write(number, column, before)
        return number

    def sharing(self, number: int) -> list[int]:
        """Return all members of the same line, which change together."""
        line = self._line_of[number]
        same = [one for one, other in self._line_of.items() if other == line]
        return same if line is not None else [number]

    def save(self, now: datetime | None = None) -> Path | None:
        """Write the table, whole or not at all; the old one is kept beside it.

        Returns
        -------
        pathlib.Path or None
            Where the old table is kept; None if there was none.

        Raises
        ------
        CohortError
            If another program has changed the table since, or it cannot be written.
        """
        table, backup = self.overview.table, None
        try:
            now_there = table.read_text("utf-8-sig") if table.exists() else None
            if now_there != self._text_read:
                raise CohortError(
                    f"'{table}' was changed by another program since it was opened, "
                    "and would be overwritten. Reload it, and make the changes again."
                )
            if now_there is not None:
                stamp = (now or datetime.now()).strftime("%Y-%m-%dT%H-%M-%S")
                backup = _free(table.with_name(f"{table.name}.{stamp}.bak"))
                backup.write_bytes(table.read_bytes())
            text = self.text()
            write_text(table, text)
        except OSError as error:
            raise CohortError(
                f"'{table}' cannot be written ({error.strerror}). Make the folder "
                "writable, or copy the cohort to where you may write."
            ) from None
        self._text_read = text
        self._done.clear()
        return backup

    def text(self) -> str:
        """Return the table as it would be saved."""
        stream = io.StringIO()
        delimiter = delimiter_of(self.overview.table, self.overview.text or "")
        writer = csv.DictWriter(
            stream, self._columns, delimiter=delimiter, lineterminator="\n", restval=""
        )
        writer.writeheader()
        # Cells that nobody changed stay as they were, empty ones too.
        writer.writerows(
            {name: line.get(name, NOT_KNOWN) for name in self._columns}
            for line in self._lines
        )
        return stream.getvalue()

    def _line(self, number: int) -> Row:
        index = self._line_of[number]
        return {} if index is None else self._lines[index]

    def _write(self, number: int, column: str, text: str) -> None:
        if self._line_of[number] is None:
            # Of all who have none: a table of a plain folder names its scans.
            for other in self.members:
                if self._line_of[other.number] is None:
                    self._add_line(other.number)
        name = self._column(column)
        self._line(number)[name] = text

    def _column(self, column: str) -> str:
        """Return the table's own name of a column, which is added if it lacks it."""
        if column.lower() not in self._names:
            self._columns.append(column)
            self._names[column.lower()] = column
        return self._names[column.lower()]

    def _drop_cell(self, number: int, name: str) -> None:
        """Forget a cell, and its column if that has no others."""
        self._line(number).pop(name)
        if not any(name in line for line in self._lines):
            self._columns.remove(name)
            del self._names[name.lower()]

    def _add_line(self, number: int) -> None:
        """Give a scan without a line one, that names its participant and session."""
        member = self.members[number]
        named = find_column(self._columns, PARTICIPANT_COLUMNS) or "participant_id"
        line = {self._column(named): member.participant}
        if member.session:
            line[self._column("session_id")] = member.session
        if self.overview.by_path and member.path is not None:
            name = find_column(self._columns, PATH_COLUMNS) or "path"
            folder = self.overview.table.parent
            line[self._column(name)] = Path(
                os.path.relpath(member.path, folder)
            ).as_posix()
        self._line_of[number] = len(self._lines)
        self._lines.append(line)


def _known(text: str) -> bool:
    return text.lower() not in MISSING_VALUES


def _free(path: Path) -> Path:
    """Return a name that no file has yet."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_suffix(f".{number}.bak")
    return found
