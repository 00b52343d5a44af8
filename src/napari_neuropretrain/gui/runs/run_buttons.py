"""The buttons of a run, each enabled when it can do something."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QGridLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.runs.remedy_row import RemedyRow
from napari_neuropretrain.gui.runs.run_actions import FORMS, report_of
from napari_neuropretrain.runs.control import settings_for
from napari_neuropretrain.runs.record import RunRecord
from napari_neuropretrain.runs.remedies import RESUME, Remedy


class RunButtons(QWidget):
    """What can be done with the selected run."""

    remedy_chosen = Signal(object)
    """Emitted with a `Remedy`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tips = {
            "Pause": "Let it rest at its next step, or go on; it keeps its memory.",
            "Stop, keep best": "End the training after this step. The best weights so "
            "far become the model, which is tested as usual.",
            "Cancel": "Stop it; what was finished is kept. Press again to end it now.",
            "Run again…": "Open the form with these settings, to change some.",
            "Copy": "Copy the command line that does the same.",
            "Report": "Open its report in the browser.",
            "Delete…": "Move the run folder to the trash of the project.",
        }
        made = [_button(text, tip) for text, tip in tips.items()]
        self.pause, self.keep_best, self.cancel, self.again = made[:4]
        self.copy, self.report, self.delete = made[4:]
        grid = QGridLayout()
        for place, button in enumerate(made[:3]):
            grid.addWidget(button, 0, 4 * place, 1, 4)
        for place, button in enumerate(made[3:]):
            grid.addWidget(button, 1, 3 * place, 1, 3)
        self.remedies = RemedyRow()
        self.remedies.chosen.connect(self.remedy_chosen.emit)
        self._of: RunRecord | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(grid)
        column.addWidget(self.remedies)
        self.show_run(None)

    def show_run(self, record: RunRecord | None) -> None:
        """Enable what can be done with a run; None: nothing."""
        state = "" if record is None else record.state
        ended = record is not None and not record.live and state != "finished"
        self.pause.setText("Pause" if state in ("", "running") else "Resume")
        self.pause.setEnabled(state in ("running", "paused") or ended)
        self.keep_best.setEnabled(record is not None and record.can_keep_best)
        self.cancel.setEnabled(record is not None and record.live)
        self.cancel.setText("End now" if state == "stopping" else "Cancel")
        self.again.setEnabled(record is not None and record.job in FORMS)
        self.copy.setEnabled(record is not None)
        self.delete.setEnabled(record is not None and not record.live)
        page = None if record is None else report_of(record.folder)
        self.report.setEnabled(page is not None)
        if record is not self._of:
            self.remedies.offer([] if record is None else _remedies(record))
        self._of = record


def _remedies(record: RunRecord) -> list[Remedy]:
    if not record.cause:
        return []
    try:
        config = settings_for(record)
    except (ConfigError, OSError, KeyError):
        return []
    # The button Resume is there already.
    return [one for one in record.remedies(config) if one.title != RESUME]


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button
