"""One plane through the head, with marks and a crosshair; it knows no viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import (  # type: ignore[attr-defined, unused-ignore]
    QEvent,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from qtpy.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_neuropretrain.gui.explanation.slices import Grid

NAMES = ("Axial", "Coronal", "Sagittal")
"""What is seen where z, y and x are cut."""
_ENDS = (("I", "S"), ("P", "A"), ("L", "R"))
"""Letters at the lower and upper end of z, y and x."""
_CROSS, _TEXT, _BACK = QColor("#4fd18b"), QColor("#ffffff"), QColor("#000000")
_NOTCH = 120
"""What Qt says a wheel turned by one notch."""
_KEYS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (1, 1),
    Qt.Key.Key_Down: (1, -1),
    Qt.Key.Key_PageUp: (2, 1),
    Qt.Key.Key_PageDown: (2, -1),
}
"""Which of across, up and through a key moves along, and which way."""


class PlanePane(QWidget):
    """A slice that tells where it is pressed, and how far the wheel is turned.

    Parameters
    ----------
    axis
        Which of z, y and x is cut: 0, 1 or 2.
    """

    pointed = Signal(object)
    """Emitted with (z, y, x) in mm where the mouse is pressed or dragged."""
    hovered = Signal(object)
    """Emitted with (z, y, x) in mm under the mouse, or None when it leaves."""
    stepped = Signal(int, int)
    """Emitted with an axis and a number of voxels to move along it."""

    def __init__(self, axis: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.axis = axis
        # Rows and columns of the picture.
        self.up, self.across = (one for one in range(3) if one != axis)
        self.flipped = False
        self._picture: QImage | None = None
        self._grid: Grid | None = None
        self._point: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._turned = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(110, 110)
        self.setAccessibleName(NAMES[axis])
        self.setToolTip(
            "Press or drag: move the crosshair. Wheel, PgUp, PgDown: other slices."
        )

    def sizeHint(self) -> QSize:
        """Return a size at which two fit side by side into a dock."""
        return QSize(180, 180)

    def show_slice(self, pixels: NDArray[np.uint8], grid: Grid) -> None:
        """Show a picture (R, C, 3) whose rows and columns ascend in mm."""
        # Screens have their first row at the top.
        turned = pixels[::-1, :: -1 if self.flipped else 1]
        rows, columns = turned.shape[:2]
        layout = QImage.Format.Format_RGB888
        image = QImage(turned.tobytes(), columns, rows, 3 * columns, layout)
        self._picture = image.copy()  # which owns its pixels
        self._grid = grid
        self.update()

    def show_nothing(self) -> None:
        """Show that there is no volume."""
        self._picture = self._grid = None
        self.update()

    def show_point(self, point: Sequence[float]) -> None:
        """Draw the crosshair at (z, y, x), in mm."""
        self._point = tuple(float(one) for one in point)
        self.update()

    def marks(self) -> tuple[str, str, str, str]:
        """Return the letters at the left, right, lower and upper edge."""
        left, right = _ENDS[self.across]
        low, high = _ENDS[self.up]
        return (right, left, low, high) if self.flipped else (left, right, low, high)

    def pixel_of(self, point: Sequence[float]) -> QPointF:
        """Return where (z, y, x) in mm is drawn; the middle without a picture."""
        area, grid = self._area(), self._grid
        if grid is None:
            return area.center()
        along = self._share(grid[self.across], point[self.across])
        above = self._share(grid[self.up], point[self.up])
        along = 1 - along if self.flipped else along
        return QPointF(
            area.left() + along * area.width(),
            area.bottom() - above * area.height(),
        )

    def place_of(self, pixel: QPointF) -> tuple[float, float, float] | None:
        """Return the (z, y, x) in mm of a pixel, kept within the picture."""
        area, grid = self._area(), self._grid
        if grid is None or area.isEmpty():
            return None
        along = (pixel.x() - area.left()) / area.width()
        above = (area.bottom() - pixel.y()) / area.height()
        place = list(self._point)
        place[self.across] = _at(
            grid[self.across], 1 - along if self.flipped else along
        )
        place[self.up] = _at(grid[self.up], above)
        return place[0], place[1], place[2]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the slice, the crosshair and the marks."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), _BACK)
        if self._picture is None:
            painter.setPen(_TEXT)
            middle = Qt.AlignmentFlag.AlignCenter
            painter.drawText(self.rect(), middle, f"{NAMES[self.axis]}\nNo volume yet")
        else:
            painter.drawImage(self._area(), self._picture)
            self._draw_cross(painter)
            self._draw_marks(painter)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Move the crosshair."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._tell(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say what is under the mouse; move the crosshair while it is pressed."""
        if event is None:
            return
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._tell(event)
        place = self.place_of(event.position())
        if place is not None:
            self.hovered.emit(place)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Say that nothing is under the mouse."""
        self.hovered.emit(None)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Go through the slices; towards you is down, back or left."""
        if event is None:
            return
        self._turned += event.angleDelta().y()
        notches = int(self._turned / _NOTCH)
        self._turned -= notches * _NOTCH
        if notches:
            self.stepped.emit(self.axis, notches)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move the crosshair by a voxel."""
        if event is None:
            return
        known = _KEYS.get(Qt.Key(event.key()))
        if known is None:
            super().keyPressEvent(event)
            return
        along, way = known
        if along == 0 and self.flipped:
            way = -way
        self.stepped.emit((self.across, self.up, self.axis)[along], way)

    def _tell(self, event: QMouseEvent) -> None:
        place = self.place_of(event.position())
        if place is not None:
            self.pointed.emit(place)

    def _area(self) -> QRectF:
        """Return where the picture goes, as large as fits, in true proportions."""
        if self._grid is None:
            return QRectF()
        wide, high = _length(self._grid[self.across]), _length(self._grid[self.up])
        scale = min(self.width() / wide, self.height() / high)
        size = wide * scale, high * scale
        left, top = (self.width() - size[0]) / 2, (self.height() - size[1]) / 2
        return QRectF(left, top, *size)

    @staticmethod
    def _share(edge: NDArray[np.float64], mm: float) -> float:
        """Return how far along a grid a coordinate is, 0 to 1."""
        step = _step(edge)
        return float((mm - edge[0] + step / 2) / (step * len(edge)))

    def _draw_cross(self, painter: QPainter) -> None:
        area, at = self._area(), self.pixel_of(self._point)
        painter.setPen(QPen(_CROSS, 1))
        gap = 5.0
        for begin, end in (
            (QPointF(area.left(), at.y()), QPointF(at.x() - gap, at.y())),
            (QPointF(at.x() + gap, at.y()), QPointF(area.right(), at.y())),
            (QPointF(at.x(), area.top()), QPointF(at.x(), at.y() - gap)),
            (QPointF(at.x(), at.y() + gap), QPointF(at.x(), area.bottom())),
        ):
            painter.drawLine(begin, end)

    def _draw_marks(self, painter: QPainter) -> None:
        left, right, low, high = self.marks()
        flag: Any = Qt.AlignmentFlag
        room = QRectF(self.rect()).adjusted(4, 2, -4, -2)
        for text, where in (
            (left, flag.AlignLeft | flag.AlignVCenter),
            (right, flag.AlignRight | flag.AlignVCenter),
            (high, flag.AlignHCenter | flag.AlignTop),
            (low, flag.AlignHCenter | flag.AlignBottom),
            (self._caption(), flag.AlignLeft | flag.AlignBottom),
        ):
            painter.setPen(_BACK)  # readable over white matter, too
            painter.drawText(room.translated(1, 1), where, text)
            painter.setPen(_TEXT)
            painter.drawText(room, where, text)

    def _caption(self) -> str:
        mm = f"{self._point[self.axis]:z.1f}".replace("-", "−")
        return f"{'zyx'[self.axis]} {mm} mm"


def _step(edge: NDArray[np.float64]) -> float:
    return float(edge[1] - edge[0]) if len(edge) > 1 else 1.0


def _length(edge: NDArray[np.float64]) -> float:
    return _step(edge) * len(edge)


def _at(edge: NDArray[np.float64], share: float) -> float:
    """Return the coordinate at a share of a grid, kept among its voxels."""
    mm = edge[0] - _step(edge) / 2 + share * _length(edge)
    return float(min(max(mm, edge[0]), edge[-1]))
