"""The rows of the cohort panel, for a table view: nothing is copied into widgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qtpy.QtCore import (  # type: ignore[attr-defined, unused-ignore]
    QAbstractTableModel,
    QModelIndex,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor, QFont

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_filter import number_of
from napari_neuropretrain.data.problems import Problem
from napari_neuropretrain.data.tables import (
    EXCLUDE_COLUMN,
    PARTICIPANT_COLUMNS,
    SESSION_COLUMNS,
    find_column,
)
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.gui.cohort.pictures import Pictures

ROW_HEIGHT = 40
PARTICIPANT, SESSION, QUALITY, PART = "participant", "session", "quality", "part"
EXCLUDED, PROBLEMS = "excluded", "problems"
MADE = (PARTICIPANT, SESSION, QUALITY, PART, EXCLUDED, PROBLEMS)
"""Columns that are not those of the table."""
COLORS = {
    "keep": "#6fcf97",
    "look": "#f2b84b",
    "reject": "#f08a7b",
    "train": "#8ab4f0",
    "validation": "#f2d06b",
    "test": "#c9a5e8",
}
"""Background of verdicts and parts; the text on it is nearly black."""
INK, LEAK, FOLD = "#14161a", "#f08a7b", "#b9c4d0"

_ROLE = Qt.ItemDataRole


class CohortModel(QAbstractTableModel):
    """Members that the filter lets through, in the order that was asked for.

    Parameters
    ----------
    pictures
        Where the pictures of the scans come from.
    """

    edited = Signal(int)
    """Emitted with the number of a member of whom a cell was changed."""
    refused = Signal(str)
    """Emitted with why a cell could not be changed."""

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self.cohort: CohortEdits | None = None
        self.shown: list[int] = []
        self.columns: list[str] = []
        self.label = ""
        self._parts: Mapping[int, str] = {}
        self._problems: dict[int, list[str]] = {}
        self._pictures = pictures
        pictures.ready.connect(self._repaint)

    def set_cohort(self, cohort: CohortEdits, label: str) -> None:
        """Show everyone of a cohort."""
        self.beginResetModel()
        self.cohort, self.label = cohort, label
        self.shown = list(range(len(cohort.members)))
        self._problems = {}
        self._set_columns()
        self.endResetModel()

    def set_label(self, label: str) -> None:
        """Put another column of the table beside age and sex."""
        self.beginResetModel()
        self.label = label
        self._set_columns()
        self.endResetModel()

    def set_parts(self, parts: Mapping[int, str]) -> None:
        """Show who is in which part of a division."""
        self.beginResetModel()
        self._parts = dict(parts)
        self._set_columns()
        self.endResetModel()

    def set_problems(self, problems: Iterable[Problem]) -> None:
        """Write what is wrong with whom."""
        self._problems = {}
        for one in problems:
            for number in one.numbers:
                self._problems.setdefault(number, []).append(one.kind)
        if self.shown:
            corner = self.index(len(self.shown) - 1, len(self.columns) - 1)
            self.dataChanged.emit(self.index(0, 0), corner)

    def show_only(self, numbers: Sequence[int]) -> None:
        """List these members."""
        self.beginResetModel()
        self.shown = list(numbers)
        self.endResetModel()

    def values(self, number: int) -> dict[str, str]:
        """Return all of a member that a filter can ask for, by column."""
        if self.cohort is None:
            return {}
        made = {name: self.text(number, name) for name in MADE}
        return {**self.cohort.row(number), **made}

    def text(self, number: int, column: str) -> str:
        """Return what is written in a cell."""
        if self.cohort is None:
            return ""
        member = self.cohort.members[number]
        if column == PARTICIPANT:
            return member.participant
        if column == SESSION:
            return member.session or ""
        if column == QUALITY:
            return member.verdict
        if column == PART:
            return self._parts.get(number, "")
        if column == EXCLUDED:
            return "yes" if self.cohort.excluded(number) else ""
        if column == PROBLEMS:
            return ", ".join(dict.fromkeys(self._problems.get(number, ())))
        return self.cohort.value(number, column)

    def number_at(self, row: int) -> int:
        """Return the member of a row."""
        return self.shown[row]

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many members are shown."""
        return 0 if parent is not None and parent.isValid() else len(self.shown)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _ROLE.DisplayRole
    ) -> Any:
        """Return the name of a column."""
        if orientation != Qt.Orientation.Horizontal or role != _ROLE.DisplayRole:
            return None
        name = self.columns[section]
        return name.capitalize() if name in (*MADE, "age", "sex") else name

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let cells of the table be changed."""
        found = super().flags(index)
        if index.isValid() and self._editable(index):
            found |= Qt.ItemFlag.ItemIsEditable
        return found

    def data(self, index: QModelIndex, role: int = _ROLE.DisplayRole) -> Any:
        """Return text, picture, color or explanation of a cell."""
        if not index.isValid() or self.cohort is None:
            return None
        number, column = self.shown[index.row()], self.columns[index.column()]
        if role in (_ROLE.DisplayRole, _ROLE.EditRole):
            return self.text(number, column)
        if role == _ROLE.DecorationRole and column == PARTICIPANT:
            return self._pictures.get(number, self.cohort.members[number].path)
        if role == _ROLE.ToolTipRole:
            return self._tip(number, column)
        if role == _ROLE.FontRole and self.cohort.excluded(number):
            font = QFont()
            font.setStrikeOut(True)
            return font
        if role in (_ROLE.BackgroundRole, _ROLE.ForegroundRole):
            return self._color(number, column, role)
        return None

    def setData(
        self, index: QModelIndex, value: Any, role: int = _ROLE.EditRole
    ) -> bool:
        """Change a cell, and tell everyone of the same line."""
        if self.cohort is None or role != _ROLE.EditRole:
            return False
        number, column = self.shown[index.row()], self.columns[index.column()]
        try:
            if not self.cohort.set(number, column, str(value)):
                return False
        except CohortError as error:
            self.refused.emit(str(error))
            return False
        self.edited.emit(number)
        return True

    def sort(
        self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder
    ) -> None:
        """Order by a column; numbers by size, and what is not known last."""
        if not 0 <= column < len(self.columns):
            return
        name, down = self.columns[column], order == Qt.SortOrder.DescendingOrder
        texts = {number: self.text(number, name) for number in self.shown}
        known = [number for number in self.shown if texts[number] not in ("", "n/a")]
        last = [number for number in self.shown if texts[number] in ("", "n/a")]
        known.sort(key=lambda number: _order(texts[number]), reverse=down)
        self.layoutAboutToBeChanged.emit()
        self.shown = known + last
        self.layoutChanged.emit()

    def refresh(self, numbers: Iterable[int]) -> None:
        """Draw the rows of some members anew."""
        wanted = set(numbers)
        last = len(self.columns) - 1
        for row, number in enumerate(self.shown):
            if number in wanted:
                self.dataChanged.emit(self.index(row, 0), self.index(row, last))

    def _repaint(self, number: int) -> None:
        if number in self.shown:
            index = self.index(self.shown.index(number), 0)
            self.dataChanged.emit(index, index, [_ROLE.DecorationRole])

    def _editable(self, index: QModelIndex) -> bool:
        column = self.columns[index.column()]
        number = self.shown[index.row()]
        if self.cohort is None or column in MADE:
            return False
        return not self.cohort.is_fixed(number, column)

    def _set_columns(self) -> None:
        """Choose the columns: those people ask for first, then all others."""
        if self.cohort is None:
            return
        members, names = self.cohort.members, self.cohort.columns
        first = [PARTICIPANT]
        first += [SESSION] if any(one.session for one in members) else []
        first += ["age", "sex"]
        if self.label and self.label.lower() not in ("age", "sex"):
            first.append(self.label)
        first += [QUALITY] if any(one.verdict for one in members) else []
        first += [PART] if self._parts else []
        first += [PROBLEMS, EXCLUDED]
        known = {name.lower() for name in first} | {EXCLUDE_COLUMN}
        for ids in (PARTICIPANT_COLUMNS, SESSION_COLUMNS):
            known.add((find_column(names, ids) or "").lower())
        self.columns = first + [name for name in names if name.lower() not in known]

    def _tip(self, number: int, column: str) -> str:
        if self.cohort is None:
            return ""
        member = self.cohort.members[number]
        if column == PARTICIPANT:
            return str(member.path or "There is no scan.")
        if column == QUALITY:
            return member.reason
        if column not in MADE and self.cohort.is_fixed(number, column):
            return "From the sessions table; change it there."
        return self.text(number, column)

    def _color(self, number: int, column: str, role: int) -> QColor | None:
        """Return the color behind or of a verdict, a part or a problem."""
        text = self.text(number, column)
        if column not in (QUALITY, PART) or not text:
            return None
        if role == _ROLE.ForegroundRole:
            return QColor(INK)
        return QColor(COLORS.get(text, LEAK if " + " in text else FOLD))


def _order(text: str) -> tuple[int, float, str]:
    number = number_of(text)
    return (1, 0.0, text.lower()) if number is None else (0, number, "")
