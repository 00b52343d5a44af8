"""What is seen of a cohort: table, filter, problems, charts and buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from napari_neuropretrain.gui.cohort.cohort_buttons import CohortButtons
from napari_neuropretrain.gui.cohort.problem_list import ProblemList
from napari_neuropretrain.gui.cohort.table_model import (
    PARTICIPANT,
    ROW_HEIGHT,
    CohortModel,
)
from napari_neuropretrain.gui.forms.sentence import Sentence

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
        self.place, self.counted, self.problem = (Sentence() for _ in range(3))
        for words in (self.place, self.counted):
            words.hide()  # until there are some
        self.buttons = CohortButtons()
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
        self.problem.say(text, "wrong" if wrong else "plain")

    def offer(self, cohort: bool) -> None:
        """Let everything be pressed that needs a cohort, or not."""
        self.buttons.offer(cohort)
        for widget in (self.label, self.filter):
            widget.setEnabled(cohort)

    def offer_labels(self, columns: Sequence[str], chosen: str) -> None:
        """Offer the columns of a table as labels, without telling anyone."""
        self.label.blockSignals(True)
        self.label.clear()
        self.label.addItems(["", *columns])
        self.label.setCurrentText(chosen)
        self.label.blockSignals(False)

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

    def sort_again(self) -> None:
        """Sort rows that are new as the others were sorted."""
        header = self.table.horizontalHeader()
        if header is not None and header.sortIndicatorSection() >= 0:
            self.model.sort(header.sortIndicatorSection(), header.sortIndicatorOrder())

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

    def _lay_out(self) -> None:
        upper, lower = QWidget(), QTabWidget()
        top = _column(upper)
        top.addLayout(
            _row(self.buttons.folder, self.buttons.table, self.buttons.reload)
        )
        top.addWidget(self.place)
        top.addLayout(
            _row(
                QLabel("Label"), self.label, self.buttons.split, self.buttons.run_split
            )
        )
        top.addWidget(self.filter)
        top.addWidget(self.problem)
        top.addWidget(self.table, 1)
        top.addWidget(self.counted)
        top.addLayout(
            _row(
                self.buttons.exclude,
                self.buttons.exclude_hidden,
                self.buttons.undo,
                self.buttons.save,
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
        buttons = self.buttons
        jobs = _row(buttons.brains, buttons.new_split, buttons.finetune)
        jobs.setContentsMargins(_MARGIN, 0, _MARGIN, 0)  # as wide as what is above
        outer.addLayout(jobs)
        self.setMinimumWidth(380)
        policy = QSizePolicy.Policy.Expanding
        self.setSizePolicy(policy, policy)

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
_MARGIN = 2


def _column(widget: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(widget)
    column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
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
