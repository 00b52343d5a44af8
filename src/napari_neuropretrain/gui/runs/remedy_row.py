"""Buttons that try again with what may help."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_neuropretrain.runs.remedies import Remedy


class RemedyRow(QWidget):
    """A button for each remedy; hidden without any."""

    chosen = Signal(object)
    """Emitted with a `Remedy`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._offered: list[Remedy] = []
        self.buttons: list[QPushButton] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.hide()

    def offer(self, found: Sequence[Remedy]) -> None:
        """Show these remedies in place of those before."""
        if list(found) == self._offered:
            return
        for button in self.buttons:
            button.hide()
            self._column.removeWidget(button)
            button.deleteLater()
        self._offered, self.buttons = list(found), []
        for remedy in found:
            button = QPushButton(remedy.title)
            button.setToolTip(remedy.why)
            button.clicked.connect(partial(self._choose, remedy))
            self._column.addWidget(button)
            self.buttons.append(button)
        self.setVisible(bool(found))

    def _choose(self, remedy: Remedy, checked: bool = False) -> None:
        self.chosen.emit(remedy)
