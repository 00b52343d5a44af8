"""A button that shows what the network of a pre-training sees."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from napari.qt.threading import create_worker
from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.config.preview import PreviewConfig
from napari_neuropretrain.gui.forms.choice_field import Explanation
from napari_neuropretrain.gui.jobs.job_layout import wide_button
from napari_neuropretrain.gui.jobs.preview_layers import (
    arrange,
    previews_of,
    show_preview,
)
from napari_neuropretrain.gui.jobs.results import Shown, load_result
from napari_neuropretrain.gui.runs.follow import Follower, Update
from napari_neuropretrain.runs.child_run import Ending
from napari_neuropretrain.runs.process import start

if TYPE_CHECKING:
    from napari.components import ViewerModel

MakeConfig: TypeAlias = Callable[[int, Path], PreviewConfig | None]
_PREVIEW, _STOP = "Preview", "Stop preview"


class PreviewPanel(QWidget):
    """Which volume, a button, and how its volumes are arranged.

    Parameters
    ----------
    viewer
        Where the volumes are shown; None shows none.
    make_config
        From the number of a volume and an output folder to the settings; None where
        something is wrong, which it has said itself.
    command
        Run this in place of the package's command line; for tests.
    """

    shown = Signal(object)
    """Emitted with a `Shown` once it is on the screen."""
    ended = Signal(object)
    """Emitted with the `Ending` of a preview."""

    def __init__(
        self,
        viewer: ViewerModel | None,
        make_config: MakeConfig,
        command: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self._viewer, self._make_config, self._command = viewer, make_config, command
        self._follower: Follower | None = None
        self._folder = Path()
        self._result = Path()
        self._warnings: list[str] = []
        self.index = QSpinBox()
        self.index.setRange(0, 10_000_000)
        self.index.setToolTip("Which volume of the source, from 0 on.")
        self.button = wide_button(
            _PREVIEW,
            self.toggle,
            "Show a volume as the network sees it: views, or masked and restored.",
        )
        self.beside = QCheckBox("Side by side")
        self.beside.setToolTip("All in a grid; else one above the other.")
        self.beside.setChecked(True)
        self.beside.toggled.connect(self._arrange)
        self.said = Explanation()
        row = QHBoxLayout()
        row.addWidget(QLabel("Volume"))
        row.addWidget(self.index)
        row.addWidget(self.button, 1)
        row.addWidget(self.beside)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.said)
        self.said.setText("")

    def toggle(self) -> None:
        """Begin a preview, or end the one that is being made."""
        if self._follower is not None:
            self._follower.cancel()
            self._follower.cancel()  # at once: there is nothing to keep
            return
        folder = Path(tempfile.mkdtemp(prefix="neuropretrain-preview-"))
        config = self._make_config(self.index.value(), folder)
        if config is None:
            shutil.rmtree(folder, ignore_errors=True)
            return
        self._folder, self._result = folder, Path()
        self._warnings.clear()
        self._follower = Follower(partial(start, "preview", config, self._command))
        self.button.setText(_STOP)
        self.said.setText("Making the preview…")
        worker = create_worker(self._follower.updates, _start_thread=False)
        worker.yielded.connect(self._take)
        worker.returned.connect(self._end)
        worker.aborted.connect(self._leave)
        worker.start()

    def _take(self, update: Update) -> None:
        for event in update.events:
            values = event.get("values", {})
            if event["state"] == "result" and values.get("kind") == "preview":
                self._result = Path(str(values["path"]))
            elif event["state"] == "warning":
                self._warnings.append(str(event.get("message", "")))
            elif event["state"] == "step" and event.get("message"):
                self.said.setText(str(event["message"]))

    def _end(self, ending: Ending) -> None:
        if ending.state == "finished" and self._result != Path():
            given = ("preview", self._result)
            # Errors are told here, not in a dialog.
            worker = create_worker(load_result, *given, _ignore_errors=True)
            worker.returned.connect(partial(self._show, ending))
            worker.errored.connect(lambda error: self._rest(ending, str(error)))
            worker.start()
            return
        stopped = ending.state == "stopped"
        self._rest(ending, "" if stopped else f"No preview: {ending.sentence}")

    def _show(self, ending: Ending, shown: Shown) -> None:
        if self._viewer is not None:
            show_preview(self._viewer, shown.layers, self.beside.isChecked())
        self._rest(ending, "\n".join([ending.sentence, *self._warnings]))
        self.shown.emit(shown)

    def _rest(self, ending: Ending, sentence: str) -> None:
        """Be ready for another preview."""
        self._follower = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self.button.setText(_PREVIEW)
        self.said.setText(sentence)
        self.ended.emit(ending)

    def _leave(self) -> None:
        """End a preview that nobody will see, because napari closes."""
        if self._follower is not None:
            self._follower.cancel()
            self._follower.cancel()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _arrange(self, beside: bool) -> None:
        if self._viewer is not None and previews_of(self._viewer):
            arrange(self._viewer, beside)
