"""What is seen of a review: the list of scans, the verdict, and the buttons."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.data.quality import VERDICTS, QualityRow
from napari_neuropretrain.gui.forms.sentence import Sentence
from napari_neuropretrain.gui.jobs.job_layout import button_row, wide_button

COLORS = {"keep": "#6fcf97", "look": "#f2b84b", "reject": "#f08a7b"}
"""Background of each verdict; the text on it is nearly black."""
FILTERS = ("all", *VERDICTS, "not decided")
SHORTCUTS = {"keep": "Alt+1", "look": "Alt+2", "reject": "Alt+3", "": "Alt+0"}
"""Free in napari, whose own keys are single letters and digits, or with Ctrl."""

_COLUMNS = ("Scan", "Automatic", "Decision", "Reason")
_INK = "#14161a"


class ReviewPanel(QWidget):
    """List, verdict and buttons; it knows nothing of files.

    Parameters
    ----------
    controls
        Shown above the verdict: which plane, before or after.
    """

    chosen = Signal(str)
    """Emitted with the key of the scan that was selected."""
    decided = Signal(str)
    """Emitted with a verdict, or empty to take a decision back."""
    noted = Signal(str)
    """Emitted with a note that was written."""

    def __init__(self, controls: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: dict[str, QualityRow] = {}
        self.key = ""
        self.place, self.verdict, self.problem = Sentence(), _label(), Sentence()
        self.place.hide()  # until there is a folder
        self.folder_button = wide_button(
            "Folder…", _nothing, "Choose the output folder of a preprocessing."
        )
        self.reload_button = wide_button(
            "Reload", _nothing, "Read the table of the folder again."
        )
        self.report_button = wide_button(
            "Open report", _nothing, "Show quality.html in the browser."
        )
        for button in (self.reload_button, self.report_button):
            button.setEnabled(False)
        self.filter = QComboBox()
        self.filter.addItems(FILTERS)
        self.filter.setToolTip("List only the scans with this final verdict.")
        self.filter.currentTextChanged.connect(self._list)
        self.table = _table()
        self.table.itemSelectionChanged.connect(self._select)
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note (written with Return)")
        self.note.setToolTip("A remark about this scan, kept in quality.tsv.")
        self.note.editingFinished.connect(self._tell_note)
        self.previous, self.next = (
            wide_button(text, partial(self.step, by), tip)
            for text, by, tip in (
                ("◂ Previous", -1, "The scan above in the list. (Alt+PgUp)"),
                ("Next ▸", 1, "The scan below in the list. (Alt+PgDown)"),
            )
        )
        self.previous.setShortcut("Alt+PgUp")
        self.next.setShortcut("Alt+PgDown")
        self.buttons = {word: self._decision_button(word) for word in SHORTCUTS}
        self._lay_out(controls)
        self._show_verdict()

    def show_rows(self, folder: Path, rows: Mapping[str, QualityRow]) -> None:
        """List the scans of `folder`; the selected one stays selected."""
        self._rows = dict(rows)
        self.place.setToolTip(str(folder))
        self.reload_button.setEnabled(True)
        self._list()

    def show_row(self, row: QualityRow) -> None:
        """Show what changed about one scan; the list stays as it is."""
        self._rows[row.key] = row
        for line in range(self.table.rowCount()):
            if _key_at(self.table, line) == row.key:
                _fill(self.table, line, row)
        self._count()
        if row.key == self.key:
            self._show_verdict()

    def say(self, text: str, wrong: bool = True) -> None:
        """Show a sentence, or none."""
        self.problem.say(text, "wrong" if wrong else "plain")

    def step(self, by: int) -> None:
        """Select the scan `by` lines further down."""
        line = self.table.currentRow() + by
        if 0 <= line < self.table.rowCount():
            self.table.selectRow(line)

    def _list(self, text: str = "") -> None:
        """Fill the table with what the filter lets through."""
        wanted = self.filter.currentText()
        rows = [row for row in self._rows.values() if _passes(row, wanted)]
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setRowCount(len(rows))
        for line, row in enumerate(rows):
            _fill(self.table, line, row)
        keys = [row.key for row in rows]
        if keys:
            self.table.selectRow(keys.index(self.key) if self.key in keys else 0)
        self.table.blockSignals(False)
        self._count()
        self._select()

    def _select(self) -> None:
        chosen = self.table.selectionModel().hasSelection()  # type: ignore[union-attr]
        self.key = _key_at(self.table, self.table.currentRow()) if chosen else ""
        self._show_verdict()
        self.chosen.emit(self.key)

    def _count(self) -> None:
        finals = [row.final for row in self._rows.values()]
        counts = [f"{finals.count(verdict)} {verdict}" for verdict in VERDICTS]
        if not (name := Path(self.place.toolTip()).name):
            return
        self.place.say(f"{name}: {len(finals)} scans ({', '.join(counts)})")

    def _show_verdict(self) -> None:
        row = self._rows.get(self.key)
        for button in (*self.buttons.values(), self.note):
            button.setEnabled(row is not None)
        self.buttons[""].setEnabled(row is not None and bool(row.decision))
        self.verdict.setVisible(row is not None)
        self.note.setText(row.note if row else "")
        if row is None:
            return
        who = "your decision" if row.decision else "automatic"
        other = f"; automatic: {row.verdict}" if row.decision else ""
        why = f". {row.reason}" if row.reason else ""
        self.verdict.setText(f"{row.key}: {row.final} ({who}{other}){why}")
        measures = [f"{name}: {value:.4g}" for name, value in row.measures.items()]
        self.verdict.setToolTip("\n".join(measures))
        self.verdict.setStyleSheet(
            f"background: {COLORS[row.final]}; color: {_INK}; padding: 5px; "
            "border-radius: 3px;"
        )

    def _tell_note(self) -> None:
        if self.key:
            self.noted.emit(self.note.text())

    def _decision_button(self, word: str) -> QWidget:
        keys = SHORTCUTS[word]
        tip = f"Decide: {word}." if word else "Take the decision back."
        name = word.capitalize() or "Undo"
        button = wide_button(name, partial(self.decided.emit, word), f"{tip} ({keys})")
        button.setShortcut(keys)
        return button

    def _lay_out(self, controls: QWidget) -> None:
        column = QVBoxLayout(self)
        for row in (
            button_row(self.folder_button, self.reload_button, self.report_button),
            self.place,
            button_row(QLabel("Show"), self.filter),
            self.table,
            self.problem,
            controls,
            self.verdict,
            button_row(*self.buttons.values()),
            self.note,
            button_row(self.previous, self.next),
            _keys(),
        ):
            if isinstance(row, QWidget):
                column.addWidget(row, 1 if row is self.table else 0)
            else:
                column.addLayout(row)
        self.setMinimumWidth(340)
        policy = QSizePolicy.Policy.Expanding  # else napari leaves room below
        self.setSizePolicy(policy, policy)


def _nothing() -> None:
    """Wait for a slot to be connected."""


def _keys() -> QLabel:
    """Say which keys there are."""
    words = [f"{key} {word or 'undo'}" for word, key in SHORTCUTS.items()]
    label = QLabel(f"Keys: {', '.join(words)}, Alt+PgUp, Alt+PgDown")
    label.setWordWrap(True)
    return label


def _label() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _table() -> QTableWidget:
    table = QTableWidget(0, len(_COLUMNS))
    table.setHorizontalHeaderLabels(list(_COLUMNS))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setWordWrap(False)
    table.setMinimumHeight(120)
    if (numbers := table.verticalHeader()) is not None:
        numbers.setVisible(False)
    if (header := table.horizontalHeader()) is not None:
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        last = len(_COLUMNS) - 1
        header.setSectionResizeMode(last, QHeaderView.ResizeMode.Stretch)
    return table


def _passes(row: QualityRow, wanted: str) -> bool:
    if wanted == "not decided":
        return not row.decision
    return wanted in ("all", row.final)


def _fill(table: QTableWidget, line: int, row: QualityRow) -> None:
    for column, text in enumerate((row.key, row.verdict, row.decision, row.reason)):
        item = QTableWidgetItem(text)
        item.setToolTip(text)
        if text in COLORS and column in (1, 2):
            item.setBackground(QColor(COLORS[text]))
            item.setForeground(QColor(_INK))
        table.setItem(line, column, item)


def _key_at(table: QTableWidget, line: int) -> str:
    item = table.item(line, 0)
    return item.text() if item is not None else ""
