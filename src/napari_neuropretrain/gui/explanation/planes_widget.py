"""The dock widget of three linked planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QComboBox, QGridLayout, QVBoxLayout, QWidget

from napari_neuropretrain.gui.explanation.places import sentence_at
from napari_neuropretrain.gui.explanation.plane_pane import PlanePane
from napari_neuropretrain.gui.explanation.slices import Grid, draw_slice, grid_around
from napari_neuropretrain.gui.explanation.viewer_link import ViewerLink
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.panels import tab_with_others
from napari_neuropretrain.gui.scans import view

if TYPE_CHECKING:
    import napari

_SIDES = ("Neurological: left is left", "Radiological: left is right")
_WIDE, _TALL = 2.2, 2.0
"""Width to height, and height to width, from which the planes lie in one line."""


class PlanesWidget(QWidget):
    """Axial, coronal and sagittal slices through the same point as the viewer.

    What the viewer's layers look like, the slices look like. A press or drag moves
    the viewer's point, and so the sliders below its canvas; the wheel scrolls.
    """

    title = "Three planes"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        tab_with_others(self)
        self._viewer = napari_viewer
        self._grid: Grid | None = None
        self._stale = True
        self._cut: dict[int, float] = {}
        self.panes = tuple(PlanePane(axis) for axis in range(3))
        self.sides = QComboBox()
        self.sides.addItems(_SIDES)
        self.sides.setToolTip("Turns the main canvas, too.")
        self.readout = WrappedLabel()
        self._place = QWidget()
        self._places = QGridLayout(self._place)
        self._places.setContentsMargins(0, 0, 0, 0)
        self._places.setSpacing(2)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.sides)
        column.addWidget(self._place, 1)
        column.addWidget(self.readout)
        self._arranged = ""
        self._arrange()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self.refresh)
        for pane in self.panes:
            pane.pointed.connect(self.look_at)
            pane.stepped.connect(self.step)
            pane.hovered.connect(self._hover)
        self.sides.currentIndexChanged.connect(self._turn)
        self._link = ViewerLink(
            self, napari_viewer, self._change, self._move, self._read_out
        )
        self._change()

    def look_at(self, place: Sequence[float]) -> None:
        """Move the crosshair, and the viewer, to (z, y, x) in mm."""
        point = list(self._viewer.dims.point)
        point[-3:] = place
        self._viewer.dims.point = tuple(point)

    def step(self, axis: int, voxels: int) -> None:
        """Move along z, y or x (0, 1, 2) by some voxels."""
        if self._grid is None:
            return
        edge, place = self._grid[axis], list(self._viewer.dims.point)[-3:]
        step = float(edge[1] - edge[0]) if len(edge) > 1 else 1.0
        moved = place[axis] + voxels * step
        place[axis] = float(min(max(moved, edge[0]), edge[-1]))
        self.look_at(place)

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        if self._viewer.dims.ndim < 3:
            self._grid = None
            for pane in self.panes:
                pane.show_nothing()
            self.readout.setText("")
            return
        flipped = view.is_radiological(self._viewer)
        if self._stale:
            shown = [layer for layer in self._viewer.layers if layer.visible]
            self._grid = grid_around(shown)
        point = tuple(self._viewer.dims.point)
        for pane in self.panes:
            self._draw(pane, point, flipped)
        self._stale = False
        self.sides.blockSignals(True)
        self.sides.setCurrentIndex(int(flipped))
        self.sides.blockSignals(False)
        self._read_out()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Lay the planes out for the new shape."""
        super().resizeEvent(event)
        self._arrange()

    def _draw(self, pane: PlanePane, point: tuple[float, ...], flipped: bool) -> None:
        if self._grid is None:
            pane.show_nothing()
            return
        at = point[-3:][pane.axis]
        if self._stale or self._cut.get(pane.axis) != at or pane.flipped != flipped:
            pane.flipped = flipped
            self._cut[pane.axis] = at
            layers = list(self._viewer.layers)
            pane.show_slice(
                draw_slice(layers, self._grid, pane.axis, point), self._grid
            )
        pane.show_point(point[-3:])

    def _change(self) -> None:
        self._stale = True
        self._rest.start(0)  # once for all that changes now

    def _move(self) -> None:
        self._rest.start(0)

    def _turn(self, number: int) -> None:
        view.set_radiological(self._viewer, number == 1)

    def _hover(self, place: tuple[float, float, float] | None) -> None:
        """Tell the viewer where the mouse is; its status line says what is there."""
        if place is None:
            self._read_out()
            return
        before = tuple(self._viewer.dims.point)[:-3]
        self._viewer.cursor.position = (*before, *place)

    def _read_out(self, point: Sequence[float] | None = None) -> None:
        """Say what is under the mouse, else at the crosshair."""
        if self._viewer.dims.ndim < 3:
            return
        at = self._viewer.dims.point if point is None else point
        if len(at) >= 3:
            self.readout.setText(sentence_at(self._viewer, at))

    def _arrange(self) -> None:
        """Put the planes in a row, in a column, or in two rows."""
        wide, high = self._place.width(), max(self._place.height(), 1)
        places = {"square": ((0, 0), (0, 1), (1, 0))}
        places["row"] = ((0, 0), (0, 1), (0, 2))
        places["column"] = ((0, 0), (1, 0), (2, 0))
        chosen = "row" if wide > _WIDE * high else "square"
        chosen = "column" if high > _TALL * wide else chosen
        if chosen == self._arranged:
            return
        self._arranged = chosen
        for number in range(3):
            self._places.setRowStretch(number, 0)
            self._places.setColumnStretch(number, 0)
        for pane, (row, col) in zip(self.panes, places[chosen], strict=True):
            self._places.addWidget(pane, row, col)
            self._places.setRowStretch(row, 1)
            self._places.setColumnStretch(col, 1)
        self._places.setAlignment(Qt.AlignmentFlag(0))
