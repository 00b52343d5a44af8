"""What a run says: state, progress, curves, log, table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QAbstractItemView,
    QPlainTextEdit,
    QProgressBar,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.runs.curve_panel import CurvePanel
from napari_neuropretrain.gui.runs.remedy_row import RemedyRow
from napari_neuropretrain.runs.account import Account
from napari_neuropretrain.runs.child_run import Ending
from napari_neuropretrain.runs.remedies import remedies

_LOG_LINES = 5000
_ENDINGS = {"finished": "Done", "failed": "Failed", "lost": "Lost"}


class RunPanel(QWidget):
    """Shows one run after another."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.account = Account()
        self.state = WrappedLabel("Ready")
        self.state.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.stage = WrappedLabel()
        self.remedies = RemedyRow()
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.curves = CurvePanel()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setPlaceholderText("The log of the run appears here.")
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setMinimumHeight(60)
        # As high as the rest leaves it, and no reason to make the form smaller.
        self.log.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.table = _table()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.state, self.remedies, self.bar, self.stage):
            column.addWidget(widget)
        column.addWidget(self.curves, 2)
        column.addWidget(self.table)
        column.addWidget(self.log, 1)
        self.reset()

    def reset(self) -> None:
        """Forget the last run."""
        self.account = Account()
        self.remedies.offer([])
        self.bar.setRange(0, 100)
        self.bar.setValue(0)
        self._say_stage("")
        self.log.clear()
        self.curves.show_curves(self.account.curves)
        self.table.setVisible(False)

    def busy(self) -> None:
        """Show that something happens, though not how far it is."""
        self.bar.setRange(0, 0)

    def rest(self) -> None:
        """Show that nothing runs any more."""
        if self.bar.maximum() == 0:
            self.bar.setRange(0, 100)
            self.bar.setValue(0)

    def show_ending(self, ending: Ending, config: Config | None) -> None:
        """Say how the run ended, and offer what may help.

        Parameters
        ----------
        ending
            How it ended.
        config
            What it was started with, if that is known.
        """
        self.rest()
        state = _ENDINGS.get(ending.state, "Stopped")
        # Some sentences begin with how it ended.
        told = ending.sentence.startswith(state)
        self.state.setText(ending.sentence if told else f"{state}. {ending.sentence}")
        if config is not None:
            found = remedies(config, ending.cause, ending.on_gpu, ending.tried)
            self.remedies.offer(found)

    def take(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Show new events."""
        for event in events:
            if line := self.account.take(event):
                self.log.appendPlainText(line)
        if events and self.account.fraction is not None:
            self.bar.setRange(0, 100)
            self.bar.setValue(round(100 * self.account.fraction))
            self._say_stage(self.account.stage)
        if any(event["state"] == "epoch" for event in events):
            self.curves.show_curves(self.account.curves)

    def _say_stage(self, text: str) -> None:
        self.stage.setText(text)
        self.stage.setVisible(bool(text))

    def show_table(self, rows: Sequence[Sequence[str]]) -> None:
        """Show rows, the first of which is the header."""
        if not rows:
            return
        header, body = rows[0], rows[1:]
        self.table.setColumnCount(len(header))
        self.table.setRowCount(len(body))
        self.table.setHorizontalHeaderLabels(
            [name.replace("_", " ").replace("mm3", "mm³") for name in header]
        )
        for i, row in enumerate(body):
            for j, text in enumerate(row):
                self.table.setItem(i, j, QTableWidgetItem(_rounded(text)))
        for j, name in enumerate(header):
            # The path is long and seldom wanted; it stays in the file.
            said = any(row[j : j + 1] not in ([], [""], ["n/a"]) for row in body)
            self.table.setColumnHidden(j, name == "path" or not said)
        self.table.resizeColumnsToContents()
        self.table.setVisible(True)


def _table() -> QTableWidget:
    table = QTableWidget()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    if (numbers := table.verticalHeader()) is not None:
        numbers.setVisible(False)
    table.setMinimumHeight(90)
    return table


def _rounded(text: str) -> str:
    """Shorten a decimal number to four digits; leave other text alone.

    Examples
    --------
    >>> _rounded("0.063958"), _rounded("100143.0"), _rounded("sub-01")
    ('0.06396', '100143', 'sub-01')
    """
    if "." not in text:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:.4g}" if abs(number) < 10_000 else f"{number:.0f}"
