"""What is known of the selected runs: words, curves, log, settings."""

from __future__ import annotations

import time
from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QPlainTextEdit,
    QProgressBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.runs.curve_panel import CurvePanel
from napari_neuropretrain.runs.account import words_for_seconds
from napari_neuropretrain.runs.child_run import tail
from napari_neuropretrain.runs.folder import CONFIG, CONSOLE
from napari_neuropretrain.runs.record import RunRecord

_CONSOLE_LINES = 40


class RunDetails(QWidget):
    """The run that was selected last; the curves are of all that are selected."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: RunRecord | None = None
        self.words = WrappedLabel()
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.curves = CurvePanel()
        self.no_curves = WrappedLabel("No curves yet: they begin with the first epoch.")
        self.log, self.settings = _text(), _text()
        curves = QWidget()
        inside = QVBoxLayout(curves)
        inside.setContentsMargins(0, 4, 0, 0)
        inside.addWidget(self.no_curves)
        inside.addWidget(self.curves, 1)
        self.tabs = QTabWidget()
        self.tabs.addTab(curves, "Curves")
        self.tabs.addTab(self.log, "Log")
        self.tabs.addTab(self.settings, "Settings")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.words)
        column.addWidget(self.bar)
        column.addWidget(self.tabs, 1)
        self.show_runs([], [])

    def show_runs(self, records: Sequence[RunRecord], names: Sequence[str]) -> None:
        """Show runs, the first of which is described; with a name for each."""
        record = records[0] if records else None
        self.tabs.setVisible(record is not None)
        self.bar.setVisible(record is not None and record.live)
        self.words.setText("" if record is None else describe(record))
        if record is not None:
            self.bar.setValue(round(100 * (record.fraction or 0.0)))
            self._show_text(record)
        self.curves.show_runs(
            {name: one.curves for name, one in zip(names, records, strict=True)}
        )
        self.no_curves.setVisible(self.curves.isHidden())

    def _show_text(self, record: RunRecord) -> None:
        """Show log and settings, if they are others than before."""
        before, self._shown = self._shown, record
        other = before is None or before.folder != record.folder
        if other or before is None or before.began != record.began:
            self.settings.setPlainText(tail(record.folder / CONFIG, 500))
        known = () if other or before is None else before.log
        if record.live and known and record.log[: len(known)] == known:
            for line in record.log[len(known) :]:  # quicker than all of it anew
                self.log.appendPlainText(line)
        elif other or known != record.log or not record.live:
            lines = list(record.log)
            if record.state in ("lost", "failed"):
                lines.append(tail(record.folder / CONSOLE, _CONSOLE_LINES))
            _set_lines(self.log, lines)


def describe(record: RunRecord) -> str:
    """Return state, time, memory and the last word of a run.

    Examples
    --------
    >>> from pathlib import Path
    >>> print(describe(RunRecord(Path("a"), "predict", "failed", "No model.")))
    predict: failed. No model.
    """
    said = record.sentence or record.stage
    lines = [f"{record.job}: {record.state}{'. ' + said if said else ''}"]
    facts = []
    if record.began:
        began = time.strftime("%d %b %H:%M", time.localtime(record.began))
        facts.append(f"began {began}, {words_for_seconds(record.seconds)}")
    if record.device and record.device != "cpu":
        facts.append(f"device {record.device}")
    if memory := record.say_memory():
        facts.append(f"memory {memory}")
    return "\n".join([*lines, " · ".join(facts)]).strip()


def _text() -> QPlainTextEdit:
    text = QPlainTextEdit()
    text.setReadOnly(True)
    text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    text.setMinimumHeight(80)
    return text


def _set_lines(text: QPlainTextEdit, lines: Sequence[str]) -> None:
    """Show lines, and stay at the end if the end was in view."""
    bar = text.verticalScrollBar()
    at_end = bar is None or bar.value() >= bar.maximum() - 2
    place = 0 if bar is None else bar.value()
    text.setPlainText("\n".join(line for line in lines if line))
    if bar is not None:
        bar.setValue(bar.maximum() if at_end else place)
