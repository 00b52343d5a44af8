"""The list of runs: which, in what state, how far, how long still."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import (  # type: ignore[attr-defined, unused-ignore]
    QEvent,
    Qt,
    Signal,
)
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_neuropretrain.runs.account import words_for_seconds
from napari_neuropretrain.runs.project import Listed
from napari_neuropretrain.runs.record import RunRecord

COLUMNS = ("Run", "State", "Done", "Left", "Memory")
_COLORS = {
    "running": "#3d8fe0",
    "queued": "#b07d18",
    "paused": "#b07d18",
    "stopping": "#b07d18",
    "finished": "#35a35c",
    "failed": "#d4553f",
    "lost": "#d4553f",
}
_RECOLOUR = (QEvent.Type.StyleChange, QEvent.Type.PaletteChange)


class RunTree(QTreeWidget):
    """Runs, the latest first; the parts of a demo or benchmark are below it."""

    chosen = Signal()
    """Emitted when other runs are selected."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._items: dict[Path, QTreeWidgetItem] = {}
        self._records: dict[Path, RunRecord] = {}
        self.setColumnCount(len(COLUMNS))
        self.setHeaderLabels(COLUMNS)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setMinimumHeight(110)
        self.setToolTip("Select several runs (Ctrl or Shift) to compare their curves.")
        header = self.header()
        if header is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            header.setStretchLastSection(False)
            header.setMinimumSectionSize(36)
        self.setIndentation(12)
        self.itemSelectionChanged.connect(self.chosen.emit)

    def show_runs(self, listed: Sequence[Listed]) -> None:
        """Show runs as they are now; what is selected and unfolded stays so."""
        found = {one.record.folder: one for one in listed}
        if set(found) != set(self._items):
            self._rebuild(listed)
        for path, one in found.items():
            if self._records.get(path) is not one.record:
                self._records[path] = one.record
                self._fill(self._items[path], one.record)

    def records(self) -> list[RunRecord]:
        """Return the selected runs; the one that was clicked last comes first."""
        current = self.currentItem()
        items = sorted(self.selectedItems(), key=lambda item: item is not current)
        return [self._records[_path(item)] for item in items]

    def select(self, folder: Path) -> None:
        """Select one run, if it is listed."""
        if (item := self._items.get(folder)) is not None:
            self.setCurrentItem(item)

    def name_of(self, folder: Path) -> str:
        """Return how a run is called in the list, with what it is part of."""
        item, words = self._items.get(folder), []
        while item is not None:
            words.append(item.text(0))
            item = item.parent()
        return "/".join(reversed(words)) or folder.name

    def changeEvent(self, event: QEvent | None) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event is not None and event.type() in _RECOLOUR and hasattr(self, "_items"):
            for path, record in self._records.items():
                self._fill(self._items[path], record)

    def _fill(self, item: QTreeWidgetItem, record: RunRecord) -> None:
        done = "" if record.fraction is None else f"{100 * record.fraction:.0f} %"
        left = "" if record.left_s is None else words_for_seconds(record.left_s)
        memory = record.memory.get("rss_mib" if record.live else "rss_peak_mib")
        held = "" if memory is None else f"{memory / 1024:.1f} GiB"
        row = (record.state, done, left, held)
        for column, text in enumerate(row, start=1):
            item.setText(column, text)
        item.setForeground(1, QBrush(self._color(record.state)))
        parts = (f"{record.job}: {record.folder}", record.stage, record.sentence)
        for column in range(len(COLUMNS)):
            item.setToolTip(column, "\n".join(part for part in parts if part))

    def _color(self, state: str) -> QColor:
        """Return a colour that can be read on this background."""
        color = QColor(_COLORS.get(state, "#7d8a99"))
        light = self.palette().windowText().color().lightness() < 128
        return color.darker(150) if light else color.lighter(110)

    def _rebuild(self, listed: Sequence[Listed]) -> None:
        """Make the rows anew: some came, or went."""
        selected = {_path(item) for item in self.selectedItems()}
        folded = {path for path, one in self._items.items() if not one.isExpanded()}
        known, current = set(self._items), self.currentItem()
        current_path = None if current is None else _path(current)
        self.blockSignals(True)
        self.clear()
        self._items = {one.record.folder: QTreeWidgetItem() for one in listed}
        self._records = {}
        for one in listed:
            path = one.record.folder
            item = self._items[path]
            item.setData(0, Qt.ItemDataRole.UserRole, str(path))
            parent = None if one.parent is None else self._items.get(one.parent)
            item.setText(0, _short(path, one.parent))
            if parent is None:
                self.addTopLevelItem(item)
            else:
                parent.addChild(item)
        for path, item in self._items.items():
            item.setExpanded(path in known and path not in folded)
            if path == current_path:
                self.setCurrentItem(item)
        for path, item in self._items.items():
            item.setSelected(path in selected)
        self.blockSignals(False)
        if selected != {_path(item) for item in self.selectedItems()}:
            self.chosen.emit()


def _short(path: Path, parent: Path | None) -> str:
    """Return the name of a run, with its place in the run it is part of."""
    return str(path.relative_to(parent)) if parent is not None else path.name


def _path(item: QTreeWidgetItem) -> Path:
    return Path(str(item.data(0, Qt.ItemDataRole.UserRole)))
