"""The field of initial weights: known ones, a file, or a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.config.pulled import is_pulled
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.gui.forms.choice_field import Explanation, side_button
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.forms.weights_text import WeightsNote, describe_weights

_SCRATCH = "from scratch"
_NAME = Qt.ItemDataRole.UserRole


class WeightsField(QWidget):
    """A box to choose from and to type in, two buttons, and an explanation.

    Parameters
    ----------
    line
        The widget that holds the value; it is not shown.
    """

    def __init__(self, line: Any) -> None:
        super().__init__()
        self._line = line
        self.note = WeightsNote("")
        self._backbone = ""
        self.box = _editable_box(line.tooltip)
        self.first_line: QWidget = self.box
        self.explanation = Explanation()
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.box, 1)
        row.addWidget(_button("File…", "An imported encoder or a model.", self._file))
        tip = "The run folder of a finished training."
        row.addWidget(_button("Folder…", tip, self._folder))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.explanation)
        self.box.activated.connect(self._choose)
        self.box.editTextChanged.connect(self._typed)
        line.changed.connect(self._show_value)
        self.offer("")

    def offer(self, backbone: str) -> None:
        """List the known weights, those for `backbone` first."""
        if backbone == self._backbone and self.box.count():
            return
        self._backbone = backbone
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItem(_SCRATCH)
        self.box.setItemData(0, "", _NAME)
        known = KNOWN_WEIGHTS.values()
        for one in sorted(known, key=lambda known: known.backbone != backbone):
            there = "on this computer" if is_pulled(one) else "not pulled"
            fits = there if one.backbone == backbone else f"for {one.backbone}"
            licence = one.licence.partition(";")[0].partition(" (")[0]
            self.box.addItem(f"{one.name}: {one.title} ({licence}; {fits})")
            row = self.box.count() - 1
            self.box.setItemData(row, one.name, _NAME)
            self.box.setItemData(row, one.preprocessing, Qt.ItemDataRole.ToolTipRole)
        self.box.blockSignals(False)
        self._show_value()

    def describe(self) -> WeightsNote:
        """Look again at what is chosen, and show what it is."""
        self.note = describe_weights(str(self._line.value), self._backbone)
        self.explanation.setText(self.note.text)
        self.explanation.setToolTip(self.note.more)
        return self.note

    def _choose(self, row: int) -> None:
        self._line.value = str(self.box.itemData(row, _NAME))
        self._show_value()

    def _typed(self, text: str) -> None:
        wanted = text.strip()
        if wanted != self._line.value:
            self._line.value = wanted

    def _show_value(self, value: object = None) -> None:
        text = str(self._line.value)
        if self.box.currentText().strip() != text:
            self.box.blockSignals(True)
            self.box.setEditText(text)
            self.box.blockSignals(False)
            if (edit := self.box.lineEdit()) is not None:
                edit.setCursorPosition(0)
        self.describe()

    def _file(self) -> None:
        title = "Choose an imported encoder or a model"
        names = "Weights (*.safetensors);;All (*)"
        choose_path(self, title, "file", self._take, str(self._line.value), names)

    def _folder(self) -> None:
        title = "Choose the run folder of a training"
        choose_path(self, title, "folder", self._take, str(self._line.value))

    def _take(self, path: Path) -> None:
        self._line.value = str(path)


def _editable_box(tip: str) -> QComboBox:
    box = QComboBox()
    box.setEditable(True)
    box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    box.setToolTip(tip)
    # The list is wider than the box, which must not push the panel apart.
    box.setMinimumContentsLength(8)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    if (view := box.view()) is not None:
        view.setMinimumWidth(620)
    if (edit := box.lineEdit()) is not None:
        edit.setPlaceholderText(_SCRATCH)
    return box


def _button(text: str, tip: str, slot: Any) -> QPushButton:
    button = side_button(text, tip)
    button.clicked.connect(lambda checked=False: slot())
    return button
