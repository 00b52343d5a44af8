"""The table of clusters: sorted by a click on its header, told by a click on a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.explanation.clusters import MOST, Cluster
from napari_neuropretrain.gui.explanation.places import number
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.jobs.job_layout import wide_button

_COLUMNS = ("Peak", "x", "y", "z", "mm³", "Region")
_ROLE = Qt.ItemDataRole.UserRole


class ClusterTable(QWidget):
    """Peaks, places and sizes; it knows no viewer."""

    chosen = Signal(object)
    """Emitted with the `Cluster` that was clicked, or reached by keys."""
    least_changed = Signal(float)
    """Emitted with the size in mm³ below which clusters are left out."""
    save_asked = Signal()
    """Emitted when the table is to be saved."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._clusters: list[Cluster] = []
        self.summary = WrappedLabel()
        self.table = _table()
        self.table.itemSelectionChanged.connect(self._choose)
        self.least = QDoubleSpinBox()
        self.least.setRange(0, 1e6)
        self.least.setDecimals(0)
        self.least.setSingleStep(100)
        self.least.setSuffix(" mm³")
        self.least.setKeyboardTracking(False)
        self.least.valueChanged.connect(self.least_changed)
        self.least.setToolTip("Smaller clusters are not listed.")
        tip = "Write the table with all its digits."
        self.save = wide_button("Save as TSV…", self.save_asked.emit, tip)
        row = QHBoxLayout()
        row.addWidget(QLabel("At least"))
        row.addWidget(self.least, 1)
        row.addWidget(self.save, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self.summary)
        column.addWidget(self.table, 1)
        column.addLayout(row)
        self.show_clusters([], "")

    @property
    def clusters(self) -> list[Cluster]:
        """The clusters in the order of the rows."""
        rows = range(self.table.rowCount())
        return [self._clusters[_number_at(self.table, row)] for row in rows]

    def show_clusters(self, clusters: Sequence[Cluster], beyond: str) -> None:
        """List clusters.

        Parameters
        ----------
        clusters
            Strongest first.
        beyond
            The threshold in words.
        """
        self._clusters = list(clusters)
        self.table.blockSignals(True)
        self.table.setSortingEnabled(False)
        self.table.setRowCount(len(clusters))
        for row, cluster in enumerate(clusters):
            _fill(self.table, row, cluster)
        self.table.setSortingEnabled(True)
        self.table.clearSelection()
        self.table.blockSignals(False)
        self.save.setEnabled(bool(clusters))
        self.summary.setText(_summary(clusters, beyond))

    def _choose(self) -> None:
        rows = {item.row() for item in self.table.selectedItems()}
        if len(rows) == 1:
            self.chosen.emit(self._clusters[_number_at(self.table, rows.pop())])


class _Item(QTableWidgetItem):
    """A cell sorted by its number, or by its words."""

    def __init__(self, text: str, key: Any) -> None:
        super().__init__(text)
        self.key = key
        if not isinstance(key, str):
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            self.setTextAlignment(side)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return bool(self.key < getattr(other, "key", self.key))


def _fill(table: QTableWidget, row: int, one: Cluster) -> None:
    # No "−0" for what is just below.
    places = [(f"{mm:z.0f}".replace("-", "−"), mm) for mm in one.place[::-1]]
    size = f"{one.size_mm3:,.0f}".replace(",", " ")
    cells: list[tuple[str, Any]] = [
        (number(one.peak), one.peak),
        *places,
        (size, one.size_mm3),
    ]
    for column, (text, key) in enumerate([*cells, (one.region, one.region)]):
        item = _Item(text, key)
        item.setToolTip(one.region if column == len(cells) else "")
        if column == 0:
            item.setData(_ROLE, row)
        table.setItem(row, column, item)


def _number_at(table: QTableWidget, row: int) -> int:
    item = table.item(row, 0)
    return -1 if item is None else int(item.data(_ROLE))


def _summary(clusters: Sequence[Cluster], beyond: str) -> str:
    if not clusters:
        return f"No clusters beyond {beyond}." if beyond else "No map yet."
    up = sum(one.peak > 0 for one in clusters)
    more = f" The {MOST} strongest are listed." if len(clusters) == MOST else ""
    count = f"{len(clusters)} cluster{'s' if len(clusters) > 1 else ''}"
    return (
        f"{count} beyond {beyond}: {up} positive, {len(clusters) - up} negative.{more}"
    )


def _table() -> QTableWidget:
    table = QTableWidget(0, len(_COLUMNS))
    table.setHorizontalHeaderLabels(_COLUMNS)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setMinimumHeight(130)
    table.setToolTip("Click a row: go to its peak. Click a header: sort.")
    if (rows := table.verticalHeader()) is not None:
        rows.setVisible(False)
    if (header := table.horizontalHeader()) is not None:
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        header.setMinimumSectionSize(30)
        header.setSortIndicator(-1, Qt.SortOrder.DescendingOrder)
    return table
