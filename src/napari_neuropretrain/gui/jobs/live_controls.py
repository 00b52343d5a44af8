"""What can be asked of a run while it goes on: rest, or end with the best weights."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_neuropretrain.gui.jobs.job_layout import wide_button
from napari_neuropretrain.runs.folder import (
    PAUSE,
    end_pause,
    request_best,
    request_pause,
)
from napari_neuropretrain.runs.record import TRAININGS


class LiveControls(QWidget):
    """Two buttons, shown while a run goes on.

    Parameters
    ----------
    job
        Only trainings have best weights to keep.
    """

    def __init__(self, job: str) -> None:
        super().__init__()
        self._folder: Path | None = None
        self.pause = wide_button(
            "Pause",
            self._pause_or_go_on,
            "Let it rest at its next step, or go on; it keeps its memory.",
        )
        self.keep_best = wide_button(
            "Stop, keep best",
            self._keep_best,
            "End the training after this step. The best weights so far become the "
            "model, which is tested as usual.",
        )
        self._trains = job in TRAININGS
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.pause)
        row.addWidget(self.keep_best)
        self.follow(None)

    def follow(self, folder: Path | None) -> None:
        """Ask the run of this folder; None: there is none."""
        self._folder = folder
        self.setVisible(folder is not None)
        self.keep_best.setVisible(self._trains)
        self.keep_best.setEnabled(True)
        self.pause.setText("Pause")

    def _pause_or_go_on(self) -> None:
        if self._folder is None:
            return
        paused = (self._folder / PAUSE).exists()
        (end_pause if paused else request_pause)(self._folder)
        self.pause.setText("Pause" if paused else "Go on")

    def _keep_best(self) -> None:
        if self._folder is not None:
            request_best(self._folder)
            self.pause.setText("Pause")
            self.keep_best.setEnabled(False)
