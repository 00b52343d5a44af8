"""Buttons for the planes, and the threshold of the occlusion map."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QWidget,
)

from napari_neuropretrain.gui import layers
from napari_neuropretrain.gui.overlay import START_FRACTION

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ViewControls(QWidget):
    """Planes, 3D, and a threshold that acts on every occlusion layer.

    Parameters
    ----------
    viewer
        The viewer to act on.
    threshold
        Whether the threshold is offered.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        threshold: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for column, plane in enumerate(layers.PLANES):
            button = _button(plane)
            button.clicked.connect(partial(self._show, plane))
            grid.addWidget(button, 0, column)
        button = _button("3D")
        button.clicked.connect(self._show_3d)
        grid.addWidget(button, 0, len(layers.PLANES))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, 95)
        self.slider.setValue(round(100 * START_FRACTION))
        self.slider.setToolTip("Values closer to 0 than this are transparent.")
        self.readout = QLabel()
        self.slider.valueChanged.connect(self._set_threshold)
        if threshold:
            grid.addWidget(QLabel("Hide below"), 1, 0)
            grid.addWidget(self.slider, 1, 1, 1, 2)
            grid.addWidget(self.readout, 1, 3)
        self.refresh()

    def refresh(self, shown: object = None) -> None:
        """Take over the threshold of the latest occlusion layer."""
        if found := layers.occlusion_layers(self._viewer):
            percent = round(100 * float(found[-1].metadata[layers.FRACTION_KEY]))
            self.slider.setValue(min(max(percent, 1), 95))
        self._set_threshold(self.slider.value())

    def _show(self, plane: str, checked: bool = False) -> None:
        layers.show_plane(self._viewer, plane)

    def _show_3d(self, checked: bool = False) -> None:
        layers.show_3d(self._viewer)

    def _set_threshold(self, percent: int) -> None:
        text = f"{percent} %"
        for layer in layers.occlusion_layers(self._viewer):
            threshold = layers.set_threshold(layer, percent / 100)
            text = f"{percent} % (±{threshold:.3g})"
        self.readout.setText(text)


def _button(text: str) -> QPushButton:
    button = QPushButton(text)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button
