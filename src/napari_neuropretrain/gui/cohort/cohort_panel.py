"""What is seen of a cohort: table, filter, problems, charts and buttons."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import (  # type: ignore[attr-defined, unused-ignore]
    QItemSelectionModel,
    QModelIndex,
    QSize,
    Qt,
    Signal,
)
from qtpy.QtGui import (  # type: ignore[attr-defined, unused-ignore]
    QKeySequence,
    QShortcut,
)
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QTableView,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.cohort.charts import CohortCharts
from napari_neuropretrain.gui.cohort.problem_list import ProblemList
from napari_neuropretrain.gui.cohort.table_model import (
    PARTICIPANT,
    ROW_HEIGHT,
    CohortModel,
)
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.jobs.job_layout import wide_button

SHORTCUTS = {
    "Ctrl+Alt+F": "filter",
    "Ctrl+Alt+X": "exclude or include",
    "Ctrl+Alt+Z": "undo",
    "Ctrl+Alt+S": "save",
    "Return": "open the scan",
    "F2": "edit the cell",
}
"""Keys while the panel has the focus; free in napari."""
_BY = ("sex", "label", "part", "site")


class CohortPanel(QWidget):
    """Widgets and their order; it reads and writes nothing.

    Parameters
    ----------
    model
        Rows of the table.
    """

    opened = Signal(int)
    """Emitted with the member whose scan is to be shown."""

    def __init__(self, model: CohortModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.place, self.counted, self.problem = (WrappedLabel() for _ in range(3))
        self.problem.setObjectName("problem")
        self._make_buttons()
        self.label, self.by = QComboBox(), QComboBox()
        self.label.setToolTip("Column of the table with the label.")
        self.label.setSizeAdjustPolicy(_TO_CONTENTS)
        self.by.addItems(_BY)
        self.by.setToolTip("Color the charts by this.")
        self.filter = QLineEdit()
        self.filter.setClearButtonEnabled(True)
        self.filter.setPlaceholderText("Filter: words, or age > 60 and sex = F")
        self.filter.setToolTip(
            "Words that must occur, or comparisons: age > 60, sex = F, site ~ philips, "
            "age = (missing), part = test, problems ~ leak. Join with and, or."
        )
        self.table = _table(model)
        self.table.doubleClicked.connect(self._open)
        self.problems, self.charts = ProblemList(), CohortCharts()
        self.problems.picked.connect(self.select)
        self._lay_out()
        self.offer(False)

    def say(self, text: str, wrong: bool = True) -> None:
        """Show a sentence above the table, or none."""
        # A red that can be read in dark and light themes.
        color = "color: #d4553f;" if wrong else ""
        self.problem.setStyleSheet(f"QLabel#problem {{ {color} }}")
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def offer(self, cohort: bool) -> None:
        """Let everything be pressed that needs a cohort, or not."""
        for widget in self._of_cohort:
            widget.setEnabled(cohort)

    def selected(self) -> list[int]:
        """Return the members whose rows are selected, from top to bottom."""
        selection = self.table.selectionModel()
        rows = selection.selectedRows() if selection is not None else []
        return [self.model.number_at(row) for row in sorted(i.row() for i in rows)]

    def select(self, numbers: tuple[int, ...]) -> None:
        """Select the rows of members; a filter that hides them is cleared."""
        if not set(numbers) <= set(self.model.shown):
            self.filter.clear()
        wanted = set(numbers)
        rows = [r for r, number in enumerate(self.model.shown) if number in wanted]
        selection = self.table.selectionModel()
        if selection is None or not rows:
            return
        selection.clear()
        for row in rows:
            selection.select(self.model.index(row, 0), _ROWS)
        first = self.model.index(rows[0], 0)
        selection.setCurrentIndex(first, QItemSelectionModel.SelectionFlag.NoUpdate)
        self.table.scrollTo(first)

    def add_shortcut(self, keys: str, slot: Callable[[], object]) -> None:
        """Call `slot` at `keys` while the focus is in the panel."""
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(slot)

    def size_columns(self) -> None:
        """Make each column as wide as its first rows need."""
        self.table.resizeColumnsToContents()
        header = self.table.horizontalHeader()
        if header is None or not self.model.shown:
            return
        for column in range(1, self.model.columnCount()):
            header.resizeSection(column, min(header.sectionSize(column), _WIDEST))
        # The pictures come later.
        names = [self.model.text(one, PARTICIPANT) for one in self.model.shown]
        text = self.table.fontMetrics().horizontalAdvance(max(names, key=len))
        header.resizeSection(0, min(text + ROW_HEIGHT + 24, _WIDEST))

    def _open(self, index: QModelIndex) -> None:
        if index.isValid():
            self.opened.emit(self.model.number_at(index.row()))

    def _make_buttons(self) -> None:
        self.folder_button = wide_button(
            "Folder…", _nothing, "Open a BIDS, derivatives or plain folder of scans."
        )
        self.table_button = wide_button(
            "Table…", _nothing, "Open a CSV or TSV table with a path column."
        )
        self.reload_button = wide_button(
            "Reload", _nothing, "Read the cohort again; unsaved changes are lost."
        )
        self.split_button = wide_button(
            "Split file…", _nothing, "Show who is in which part, and find leaks."
        )
        self.run_split_button = wide_button(
            "Split of a run…", _nothing, "Show the division that a run used."
        )
        self.exclude_button = wide_button(
            "Exclude", _nothing, "Leave the selected rows out of every job, or take "
            "them in again (Ctrl+Alt+X)."
        )  # fmt: skip
        self.exclude_hidden_button = wide_button(
            "Exclude hidden", _nothing, "Leave out everyone whom the filter hides."
        )
        self.undo_button = wide_button(
            "Undo", _nothing, "Take the last change back (Ctrl+Alt+Z)."
        )
        self.save_button = wide_button(
            "Save", _nothing, "Write the table; the old one is kept beside it, and "
            "scans are never touched (Ctrl+Alt+S)."
        )  # fmt: skip
        self.brains_button = wide_button(
            "Compare brains", _nothing, "Find one person under two names, by the "
            "volumes of a preprocessed cohort."
        )  # fmt: skip
        self.new_split_button = wide_button(
            "Make a split", _nothing, "Divide these participants with the job split."
        )
        self.finetune_button = wide_button(
            "Fine-tune on these", _nothing, "Hand this cohort to the form Fine-tune."
        )

    def _lay_out(self) -> None:
        upper, lower = QWidget(), QTabWidget()
        top = _column(upper)
        top.addLayout(_row(self.folder_button, self.table_button, self.reload_button))
        top.addWidget(self.place)
        top.addLayout(
            _row(QLabel("Label"), self.label, self.split_button, self.run_split_button)
        )
        top.addWidget(self.filter)
        top.addWidget(self.problem)
        top.addWidget(self.table, 1)
        top.addWidget(self.counted)
        top.addLayout(
            _row(
                self.exclude_button,
                self.exclude_hidden_button,
                self.undo_button,
                self.save_button,
            )
        )
        self.tabs = lower
        lower.addTab(self.problems, "Problems")
        lower.addTab(self._chart_tab(), "Balance")
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(upper)
        split.addWidget(lower)
        split.setStretchFactor(0, 5)
        split.setStretchFactor(1, 4)
        split.setChildrenCollapsible(False)
        outer = _column(self)
        outer.addWidget(split, 1)
        outer.addLayout(
            _row(self.brains_button, self.new_split_button, self.finetune_button)
        )
        self.setMinimumWidth(380)
        policy = QSizePolicy.Policy.Expanding
        self.setSizePolicy(policy, policy)
        self._of_cohort = (
            self.reload_button,
            self.label,
            self.split_button,
            self.run_split_button,
            self.filter,
            self.exclude_button,
            self.exclude_hidden_button,
            self.save_button,
            self.undo_button,
            self.brains_button,
            self.new_split_button,
            self.finetune_button,
        )

    def _chart_tab(self) -> QWidget:
        tab = QWidget()
        column = _column(tab)
        column.addLayout(_row(QLabel("By"), self.by))
        scroll = QScrollArea()
        scroll.setWidget(self.charts)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        column.addWidget(scroll, 1)
        return tab


_TO_CONTENTS = QComboBox.SizeAdjustPolicy.AdjustToContents
_ROWS = (
    QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
)
_WIDEST = 220


def _nothing() -> None:
    """Wait for a slot to be connected."""


def _column(widget: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(widget)
    column.setContentsMargins(2, 2, 2, 2)
    return column


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 0 if isinstance(widget, QLabel) else 1)
    return row


def _table(model: CohortModel) -> QTableView:
    table = QTableView()
    table.setModel(model)
    view = QAbstractItemView
    table.setSelectionBehavior(view.SelectionBehavior.SelectRows)
    table.setSelectionMode(view.SelectionMode.ExtendedSelection)
    # A double-click opens the scan.
    table.setEditTriggers(
        view.EditTrigger.EditKeyPressed | view.EditTrigger.AnyKeyPressed
    )
    table.setIconSize(QSize(ROW_HEIGHT - 4, ROW_HEIGHT - 4))
    table.setHorizontalScrollMode(view.ScrollMode.ScrollPerPixel)
    table.setWordWrap(False)
    table.setMinimumHeight(150)
    table.setSortingEnabled(True)
    if (numbers := table.verticalHeader()) is not None:
        numbers.setVisible(False)
        # One height for all: 2000 rows need not be measured.
        numbers.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        numbers.setDefaultSectionSize(ROW_HEIGHT)
    if (header := table.horizontalHeader()) is not None:
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setResizeContentsPrecision(50)
    return table
