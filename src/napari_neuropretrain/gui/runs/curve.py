"""Draw curves over the epochs, in the colours of the viewer's theme."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_neuropretrain.gui.runs.ticks import label_of, log_ticks, ticks, whole_ticks
from napari_neuropretrain.runs.curves import Curve

COLORS = ("#3d8fe0", "#e8902a", "#35a35c", "#b06cc9", "#d0555f", "#7d8a99")
_FEW = 40
"""Epochs up to which each is marked by a dot."""
_RIGHT, _GAP = 12, 6
_FLAT = 0.01
"""Room above and below curves that change less, as a share of their values."""


class CurvePlot(QWidget):
    """Some curves on one axis; the epoch under the mouse is read out in the legend."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumHeight(130)
        self.setMouseTracking(True)
        self._curves: tuple[Curve, ...] = ()
        self._best: int | None = None
        self._log = False
        self._pointed: int | None = None

    def sizeHint(self) -> QSize:
        """Return the size that shows all well."""
        return QSize(320, 170)

    def show_curves(
        self, curves: Sequence[Curve], best: int | None = None, log: bool = False
    ) -> None:
        """Draw curves.

        Parameters
        ----------
        curves
            Each with at least one point.
        best
            Epoch to mark, or None.
        log
            Whether the values are spaced by their logarithm; all are positive then.
        """
        self._curves, self._best, self._log = tuple(curves), best, log
        self.update()

    def legend(self) -> list[tuple[str, QColor]]:
        """Return label and value of each curve: at the mouse, else the latest one."""
        shown = []
        for number, curve in enumerate(self._curves):
            at = self._pointed
            value = curve.values[-1] if at is None else curve.at(at)
            words = "–" if value is None else f"{value:.4g}"
            color = QColor(COLORS[number % len(COLORS)])
            shown.append((f"{curve.label} {words}".strip(), color))
        return shown

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Read out the nearest epoch."""
        if event is not None and self._curves:
            self._pointed = self._axes().nearest(event.position().x(), self._curves)
            self.update()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Read out the latest epoch again."""
        self._pointed = None
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw grid, curves and legend."""
        if not self._curves:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        axes = self._axes()
        self._draw_grid(painter, axes)
        for number, curve in enumerate(self._curves):
            color = QColor(COLORS[number % len(COLORS)])
            painter.setPen(QPen(color, 1.8))
            line = axes.line(curve)
            painter.drawPolyline(QPolygonF(line))
            if len(line) <= _FEW:
                painter.setBrush(color)
                for point in line:
                    painter.drawEllipse(point, 2.2, 2.2)
        self._draw_legend(painter)
        painter.end()

    def _axes(self) -> Axes:
        metrics = self.fontMetrics()
        low, high = axis_range(self._curves, self._log)
        marks = log_ticks(low, high, 4) if self._log else ticks(low, high, 4)
        left = max(metrics.horizontalAdvance(label_of(mark)) for mark in marks)
        line = metrics.height()
        size = self.width() - left - _GAP - _RIGHT, self.height() - 2.6 * line - _GAP
        area = QRectF(left + _GAP, line * 1.4, size[0], size[1])
        epochs = [epoch for curve in self._curves for epoch in curve.epochs]
        return Axes(area, (min(epochs), max(epochs)), (low, high), marks, self._log)

    def _draw_grid(self, painter: QPainter, axes: Axes) -> None:
        text = self.palette().windowText().color()
        faint, line = QColor(text), painter.fontMetrics().height()
        faint.setAlpha(45)
        soft = QColor(text)
        soft.setAlpha(170)
        area = axes.area
        for mark in axes.marks:
            y = axes.y(mark)
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(soft)
            box = QRectF(0, y - line / 2, area.left() - _GAP, line)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, flags, label_of(mark))
        for epoch in whole_ticks(*axes.epochs):
            box = QRectF(axes.x(epoch) - 30, area.bottom() + 2, 60, line)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, str(epoch))
        for marked, style in (
            (self._best, Qt.PenStyle.DashLine),
            (self._pointed, Qt.PenStyle.SolidLine),
        ):
            if marked is not None:
                painter.setPen(QPen(soft, 1, style))
                x = axes.x(marked)
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _draw_legend(self, painter: QPainter) -> None:
        text, left = self.palette().windowText().color(), 2.0
        metrics = painter.fontMetrics()
        for words, color in self.legend():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(left, metrics.height() / 2 - 2, 12, 4), 2, 2)
            painter.setPen(text)
            width = metrics.horizontalAdvance(words)
            painter.drawText(
                QRectF(left + 17, 0, width + 4, metrics.height()), 0, words
            )
            left += width + 31
        if self._pointed is not None:
            box = QRectF(0, 0, self.width() - _RIGHT, metrics.height())
            said = f"epoch {self._pointed}"
            painter.drawText(box, Qt.AlignmentFlag.AlignRight, said)


class Axes:
    """From epochs and values to points of a widget.

    Parameters
    ----------
    area
        Where curves are drawn.
    epochs, values
        First and last of each.
    marks
        Values with a grid line.
    log
        Whether values are spaced by their logarithm.
    """

    def __init__(
        self,
        area: QRectF,
        epochs: tuple[int, int],
        values: tuple[float, float],
        marks: Sequence[float],
        log: bool,
    ) -> None:
        self.area, self.epochs, self.marks = area, epochs, marks
        self._scale = math.log10 if log else float
        self._low, self._high = (self._scale(one) for one in values)

    def x(self, epoch: int) -> float:
        """Return where an epoch is; a lone one is in the middle."""
        first, last = self.epochs
        share = (epoch - first) / (last - first) if last > first else 0.5
        return self.area.left() + share * self.area.width()

    def y(self, value: float) -> float:
        """Return where a value is."""
        share = (self._scale(value) - self._low) / (self._high - self._low)
        return self.area.bottom() - share * self.area.height()

    def line(self, curve: Curve) -> list[QPointF]:
        """Return the points of a curve, no more than the screen can show."""
        step = max(1, len(curve.epochs) // max(1, int(self.area.width())))
        kept = {*range(0, len(curve.epochs), step), len(curve.epochs) - 1}
        return [
            QPointF(self.x(curve.epochs[i]), self.y(curve.values[i]))
            for i in sorted(kept)
        ]

    def nearest(self, x: float, curves: Sequence[Curve]) -> int:
        """Return the epoch with a point nearest to `x`."""
        epochs = {epoch for curve in curves for epoch in curve.epochs}
        return min(epochs, key=lambda epoch: abs(self.x(epoch) - x))


def axis_range(curves: Sequence[Curve], log: bool) -> tuple[float, float]:
    """Return the ends of the axis of values, with a little room around.

    A change in the fourth digit looks flat, and its ticks can be told apart.
    """
    values = [value for curve in curves for value in curve.values]
    low, high = min(values), max(values)
    if log:
        room = max((high / low) ** 0.06, 1 + _FLAT)
        return low / room, high * room
    room = max(0.06 * (high - low), _FLAT * max(abs(low), abs(high))) or 1.0
    return low - room, high + room
