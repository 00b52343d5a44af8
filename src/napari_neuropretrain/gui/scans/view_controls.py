"""Buttons for planes and for before and after; the threshold of the occlusion map."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSlider, QWidget

from napari_neuropretrain.gui.jobs.job_layout import wide_button
from napari_neuropretrain.gui.scans import layers, view
from napari_neuropretrain.gui.scans.layers import AFTER, BEFORE
from napari_neuropretrain.gui.scans.overlay import START_FRACTION

if TYPE_CHECKING:
    from napari.components import ViewerModel

_SIDE_TIPS = {
    BEFORE: "The scan as it came, with the outline of its brain mask.",
    AFTER: "The aligned volume, with the edges of the template over it.",
}


class ViewControls(QWidget):
    """Planes, 3D, and a threshold that acts on every occlusion layer.

    Parameters
    ----------
    viewer
        The viewer to act on.
    threshold
        Whether the threshold is offered.
    sides
        Whether before and after preprocessing are offered.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        threshold: bool = True,
        sides: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for column, plane in enumerate(view.PLANES):
            tip = f"Show {plane.lower()} slices."
            button = wide_button(plane, partial(self._show, plane), tip)
            grid.addWidget(button, 0, column)
        volume = wide_button("3D", self._show_3d, "Show the whole volume.")
        grid.addWidget(volume, 0, len(view.PLANES))
        self.before, self.after = (
            wide_button(side.capitalize(), partial(self._show_side, side), tip)
            for side, tip in _SIDE_TIPS.items()
        )
        if sides:
            grid.addWidget(self.before, 1, 0, 1, 2)
            grid.addWidget(self.after, 1, 2, 1, 2)
            viewer.layers.events.inserted.connect(self._offer_sides)
            viewer.layers.events.removed.connect(self._offer_sides)
            self._offer_sides()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, 95)
        self.slider.setValue(round(100 * START_FRACTION))
        self.slider.setToolTip("Values closer to 0 than this are transparent.")
        self.readout = QLabel()
        self.slider.valueChanged.connect(self._set_threshold)
        if threshold:
            grid.addWidget(QLabel("Hide below"), 2, 0)
            grid.addWidget(self.slider, 2, 1, 1, 2)
            grid.addWidget(self.readout, 2, 3)
        self.refresh()

    def refresh(self, shown: object = None) -> None:
        """Take over the threshold of the latest occlusion layer."""
        percent = self.slider.value()
        if found := layers.occlusion_layers(self._viewer):
            percent = round(100 * float(found[-1].metadata[layers.FRACTION_KEY]))
            self.slider.blockSignals(True)  # shows, does not set
            self.slider.setValue(percent)
            self.slider.blockSignals(False)
        self._say(percent)

    def _show(self, plane: str) -> None:
        view.show_plane(self._viewer, plane)

    def _show_3d(self) -> None:
        view.show_3d(self._viewer)

    def _show_side(self, side: str) -> None:
        view.show_side(self._viewer, side)

    def _offer_sides(self, event: object = None) -> None:
        known = view.sides_of(self._viewer)
        self.before.setEnabled(BEFORE in known)
        self.after.setEnabled(AFTER in known)

    def _set_threshold(self, percent: int) -> None:
        for layer in layers.occlusion_layers(self._viewer):
            layers.set_threshold(layer, percent / 100)
        self._say(percent)

    def _say(self, percent: int) -> None:
        text = f"{percent} %"
        if found := layers.occlusion_layers(self._viewer):
            text = f"{percent} % (±{layers.look_of(found[-1]).threshold:.3g})"
        self.readout.setText(text)
