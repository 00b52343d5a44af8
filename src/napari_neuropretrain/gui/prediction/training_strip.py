"""A small drawing: where a value lies among the outputs for the training scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_neuropretrain.gui.ticks import label_of, ticks

COLORS = ("#3d8fe0", "#e8902a")
"""Of the groups, seen on dark and light."""
BINS = 24
_LEFT = _RIGHT = 10
_BAR = 9.0
"""Height of the interval's bar, in pixels."""


@dataclass(frozen=True)
class Placed:
    """A value among those of the training.

    Parameters
    ----------
    value
        The prediction.
    outputs
        Predictions for the training scans, by group.
    interval
        Its ends, or None.
    limits
        Ends of the axis where they are given, as 0 and 1 for probabilities.
    threshold
        Value from which on the second group is meant, or None.
    """

    value: float
    outputs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None
    threshold: float | None = None

    def axis(self) -> tuple[float, float]:
        """Return the ends of the axis."""
        if self.limits is not None:
            return self.limits
        shown = [v for values in self.outputs.values() for v in values]
        shown += [self.value, *(self.interval or ())]
        room = 0.04 * (max(shown) - min(shown)) or 1.0
        return min(shown) - room, max(shown) + room

    def bars(self) -> dict[str, list[float]]:
        """Return the share of each group's outputs in each of `BINS` bins.

        Examples
        --------
        >>> placed = Placed(0.5, {"a": (0.0, 0.01, 0.99)}, limits=(0, 1))
        >>> bars = placed.bars()["a"]
        >>> round(bars[0], 2), round(bars[-1], 2)
        (0.67, 0.33)
        """
        low, high = self.axis()
        found = {}
        for name, values in self.outputs.items():
            counts = [0.0] * BINS
            for value in values:
                place = int((value - low) / (high - low) * BINS)
                counts[min(max(place, 0), BINS - 1)] += 1 / len(values)
            found[name] = counts
        return found


class TrainingStrip(QWidget):
    """Histograms of the training outputs, with the value and its interval above."""

    def __init__(self, placed: Placed, unit: str = "") -> None:
        super().__init__()
        self._placed, self._unit = placed, unit
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        words = "Bars: the model's outputs for its training scans. Line: this scan"
        self.setToolTip(f"{words}, with its interval.")

    def sizeHint(self) -> QSize:
        """Return the size that shows all well."""
        line = self.fontMetrics().height()
        return QSize(280, round(50 + 3.2 * line))

    def minimumSizeHint(self) -> QSize:
        """Return the size below which nothing can be read."""
        return QSize(160, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw bars, value, interval and axis in the colours of the theme."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = painter.fontMetrics().height()
        top = line * 1.3 + _BAR + 4
        wide = self.width() - _LEFT - _RIGHT
        area = QRectF(_LEFT, top, wide, self.height() - top - line * 1.3)
        self._draw_bars(painter, area)
        self._draw_axis(painter, area)
        self._draw_value(painter, area)
        self._draw_legend(painter)
        painter.end()

    def _x(self, value: float, area: QRectF) -> float:
        low, high = self._placed.axis()
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return area.left() + share * area.width()

    def _draw_bars(self, painter: QPainter, area: QRectF) -> None:
        bars = self._placed.bars()
        most = max((share for shares in bars.values() for share in shares), default=1)
        width = area.width() / BINS
        for number, shares in enumerate(bars.values()):
            color = QColor(COLORS[number % len(COLORS)])
            color.setAlpha(150 if len(bars) == 1 else 120)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            for place, share in enumerate(shares):
                height = area.height() * share / most
                left = area.left() + place * width
                bar = QRectF(left, area.bottom() - height, width - 1, height)
                painter.drawRect(bar)

    def _draw_axis(self, painter: QPainter, area: QRectF) -> None:
        soft = QColor(self.palette().windowText().color())
        soft.setAlpha(170)
        painter.setPen(QPen(soft, 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        line = painter.fontMetrics().height()
        for mark in ticks(*self._placed.axis(), 5):
            box = QRectF(self._x(mark, area) - 40, area.bottom() + 2, 80, line)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, label_of(mark))
        if self._placed.threshold is not None:
            x = self._x(self._placed.threshold, area)
            painter.setPen(QPen(soft, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _draw_value(self, painter: QPainter, area: QRectF) -> None:
        text = self.palette().windowText().color()
        x, above = self._x(self._placed.value, area), area.top() - _BAR / 2 - 2
        if self._placed.interval is not None:
            ends = [self._x(end, area) for end in self._placed.interval]
            painter.setPen(QPen(text, 2))
            painter.drawLine(QPointF(ends[0], above), QPointF(ends[1], above))
            for end in ends:
                low, high = above - _BAR / 2, above + _BAR / 2
                painter.drawLine(QPointF(end, low), QPointF(end, high))
        painter.setPen(QPen(text, 2))
        painter.drawLine(QPointF(x, above), QPointF(x, area.bottom()))
        painter.setBrush(text)
        tip = [
            QPointF(x, above + 6),
            QPointF(x - 5, above - 3),
            QPointF(x + 5, above - 3),
        ]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawPolygon(QPolygonF(tip))

    def _draw_legend(self, painter: QPainter) -> None:
        text, metrics = self.palette().windowText().color(), painter.fontMetrics()
        left = float(_LEFT)
        for number, name in enumerate(self._placed.outputs):
            words = "training scans" if name == "all" else f"training: {name}"
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(COLORS[number % len(COLORS)]))
            box = QRectF(left, metrics.height() / 2 - 4, 8, 8)
            painter.drawRect(box)
            painter.setPen(text)
            width = metrics.horizontalAdvance(words)
            painter.drawText(
                QRectF(left + 13, 0, width + 4, metrics.height()), 0, words
            )
            left += width + 28
        if self._unit and self._unit != "probability":
            box = QRectF(0, 0, self.width() - _RIGHT, metrics.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight, self._unit)
