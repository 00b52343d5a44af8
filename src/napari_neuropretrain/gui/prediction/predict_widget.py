"""The dock widget of predictions: every model of a folder on one scan, by one click."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import FileEdit
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.data.model_cards import find_models, name_models, read_notes
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.forms.choice_field import Explanation
from napari_neuropretrain.gui.jobs.job_layout import wide_button
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.jobs.layer_input import LayerInput
from napari_neuropretrain.gui.prediction.prediction_card import PredictionCards
from napari_neuropretrain.gui.prediction.words import people_of, read_report, title_of
from napari_neuropretrain.gui.settings import free_folder, read_settings
from napari_neuropretrain.runs.child_run import Ending

if TYPE_CHECKING:
    import napari

REPORT_KIND = "prediction_report"
_PAUSE_MS = 300
_MOST_NAMED = 6
_FORM_HEIGHT = 150


class PredictWidget(JobWidget):
    """Apply trained models to scans."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__("predict", "Predict", napari_viewer)
        self.report: dict[str, Any] = {}
        self._start_when_ready = False
        self._model, self._input, self._output = (
            self._path_field(name) for name in ("model", "input", "output")
        )
        self.start_button.setText("Predict")
        self.layer_button = wide_button(
            "Predict the current layer",
            self.predict_layer,
            "Apply every model to the selected image layer. One that has no file is "
            "written into the output folder first.",
        )
        self.form.add_below("input", self.layer_button)
        self.models = Explanation()
        self.form.add_below("model", self.models)
        self._layer = LayerInput(napari_viewer, raw=False)
        self._layer.ready.connect(self._layer_ready)
        self._layer.failed.connect(self._layer_failed)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_PAUSE_MS)
        self._rest.timeout.connect(self._look_for_models)
        self._model.changed.connect(self._rest_first)
        self.scans = QComboBox()
        self.scans.setToolTip("Whose predictions are shown.")
        self.scans.currentTextChanged.connect(self._show_scan)
        self.cards = PredictionCards()
        self._place_cards()
        self.begun.connect(self._run_begins)
        self.ended.connect(self._run_ended)
        self._propose()

    def predict_layer(self) -> None:
        """Take the current layer as input and start."""
        self._start_when_ready = True
        output = Path(self._output.line_edit.value.strip() or ".").expanduser()
        self.layer_button.setEnabled(not self._layer.take(output))

    def show_result(
        self, kind: str, path: Path, values: dict[str, Any] | None = None
    ) -> None:
        """Show cards for predictions, and other results as every job does."""
        if kind == "predictions":
            return  # the cards say more than the table
        if kind != REPORT_KIND:
            super().show_result(kind, path, values)
            return
        try:
            self.show_report(read_report(path))
        except ConfigError as error:
            self.say(str(error))

    def show_report(self, report: dict[str, Any]) -> None:
        """Show what ``predictions.json`` holds, the first scan at first."""
        self.report, people = report, people_of(report)
        self.scans.blockSignals(True)
        self.scans.clear()
        self.scans.addItems(people)
        self.scans.blockSignals(False)
        self.scans.setVisible(len(people) > 1)
        self._show_scan()
        self._show_cards(bool(people))
        self._give_room()

    def _show_cards(self, shown: bool) -> None:
        """Show the cards in place of the log; the room of one is that of the other."""
        self._area.setVisible(shown)
        self.panel.log.setVisible(not shown)
        self.bottom.setStretchFactor(self.panel, int(not shown))

    def _give_room(self) -> None:
        """Make the form small: the cards are what is looked at now."""
        split = self.findChild(QSplitter)
        if split is not None:
            whole = sum(split.sizes())
            split.setSizes([_FORM_HEIGHT, max(whole - _FORM_HEIGHT, 0)])

    def _show_scan(self, name: str = "") -> None:
        self.cards.show_scan(self.report, name)
        bar = self._area.verticalScrollBar()
        if bar is not None:
            bar.setValue(0)

    def _run_begins(self) -> None:
        self._show_cards(False)

    def _run_ended(self, ending: Ending) -> None:
        self.layer_button.setEnabled(True)

    def _layer_ready(self, path: Path) -> None:
        self.layer_button.setEnabled(True)
        self._input.line_edit.value = str(path)
        if self._start_when_ready:
            self._start_when_ready = False
            self.start()

    def _layer_failed(self, reason: str) -> None:
        self._start_when_ready = False
        self.layer_button.setEnabled(True)
        self.say(reason)

    def _propose(self) -> None:
        """Fill in models and output folder, so that one click is enough."""
        settings = read_settings()
        if not self._model.line_edit.value and settings.models_folder.is_dir():
            self._model.line_edit.value = str(settings.models_folder)
        if not self._output.line_edit.value:
            folder = free_folder(settings.project_folder, self.job)
            self._output.line_edit.value = str(folder)
        self._rest_first()

    def _rest_first(self, value: object = None) -> None:
        self._rest.start()

    def _look_for_models(self) -> None:
        text = self._model.line_edit.value.strip()
        if not text:
            self.models.setText("")
            return
        worker = create_worker(
            _describe_models, Path(text).expanduser(), _ignore_errors=True
        )
        worker.returned.connect(self.models.setText)
        worker.start()

    def _place_cards(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 4, 0)
        column.addWidget(self.scans)
        column.addWidget(self.cards)
        column.addStretch(1)
        self._area = QScrollArea()
        self._area.setWidget(inner)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setMinimumHeight(240)
        policy = QSizePolicy.Policy
        self._area.setSizePolicy(policy.Expanding, policy.Expanding)
        self._area.setVisible(False)
        self.bottom.addWidget(self._area, 4)

    def _path_field(self, name: str) -> FileEdit:
        field = self.form.widgets[name]
        if not isinstance(field, FileEdit):
            raise TypeError(f"'{name}' is no path.")
        return field


def _describe_models(path: Path) -> str:
    """Say which models are at a path."""
    if not path.exists():
        return "There is no such file or folder."
    names = name_models(find_models(path))
    if not names:
        return "There is no model here yet: fine-tune one, or give another folder."
    said = []
    for file, name in list(names.items())[:_MOST_NAMED]:
        task = read_notes(file).get("task") or {}
        said.append(f"{name} ({title_of(str(task.get('name', '?')))})")
    more = len(names) - len(said)
    shown = ", ".join(said) + (f" and {more} more" if more else "")
    return f"{len(names)} model{'s' if len(names) > 1 else ''}: {shown}."
