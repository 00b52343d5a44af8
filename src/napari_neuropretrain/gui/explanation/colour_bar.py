"""The colours of a map with their values."""

from __future__ import annotations

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_neuropretrain.gui.explanation.places import number
from napari_neuropretrain.gui.scans.layers import look_of

_STEPS, _BAR, _GAP, _MARGIN = 512, 14, 3, 4
_BEHIND = np.array([40.0, 40.0, 40.0])
"""What is seen through clear colours: a dark brain."""


class ColourBar(QWidget):
    """A bar from the lowest to the highest value, and what its ends mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._limit, self._unit = 1.0, ""
        self.ticks: tuple[float, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Values between the inner two are transparent.")

    def sizeHint(self) -> QSize:
        """Return a size with room for a line of numbers."""
        return QSize(220, _BAR + _GAP + self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:
        """Return the same; numbers are not to be cut."""
        return self.sizeHint()

    def show_map(self, layer: Image, unit: str) -> None:
        """Draw the colours of a map."""
        look = look_of(layer)
        self._limit, self._unit = float(layer.contrast_limits[1]), unit
        inner = min(look.threshold, self._limit)
        self.ticks = (-self._limit, -inner, inner, self._limit)
        colors = layer.colormap.map(np.linspace(0, 1, _STEPS))
        alpha = colors[:, 3:]
        mixed = 255 * colors[:, :3] * alpha + _BEHIND * (1 - alpha)
        pixels = mixed.round().astype(np.uint8).tobytes()
        layout = QImage.Format.Format_RGB888
        self._image = QImage(pixels, _STEPS, 1, 3 * _STEPS, layout).copy()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bar and its numbers."""
        if self._image is None:
            return
        painter = QPainter(self)
        bar = QRectF(_MARGIN, 0, self.width() - 2 * _MARGIN, _BAR)
        painter.drawImage(bar, self._image)
        text = self.palette().windowText().color()
        edge = QColor(text)
        edge.setAlpha(120)
        painter.setPen(QPen(edge, 1))
        painter.drawRect(bar)
        painter.setPen(text)
        self._draw_numbers(painter, bar)
        painter.end()

    def _draw_numbers(self, painter: QPainter, bar: QRectF) -> None:
        """Write the ends, and the threshold where it fits between them."""
        metrics, line = painter.fontMetrics(), painter.fontMetrics().height()
        taken: list[tuple[float, float]] = []
        first, *inner, last = self.ticks
        unit = f" {self._unit}" if self._unit else ""
        for value, words in (
            (first, number(first)),
            (last, number(last) + unit),
            *((tick, number(tick)) for tick in inner),
        ):
            wide = metrics.horizontalAdvance(words) + 4.0
            x = bar.left() + (value / self._limit + 1) / 2 * bar.width()
            left = min(max(x - wide / 2, 0.0), self.width() - wide)
            if any(left < end and left + wide > begin for begin, end in taken):
                continue
            taken.append((left, left + wide))
            painter.drawLine(QPointF(x, _BAR), QPointF(x, _BAR + _GAP))
            box = QRectF(left, _BAR + _GAP, wide, line)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
