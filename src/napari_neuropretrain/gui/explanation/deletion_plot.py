"""The deletion curve: the output while more and more of the brain is hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_neuropretrain.gui.ticks import label_of, ticks

_STRONGEST, _OTHERS = QColor("#e8902a"), QColor("#3d8fe0")
_GAP = 6.0


class DeletionPlot(QWidget):
    """Output against the share hidden: the strongest voxels, and other places."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: list[tuple[str, QColor, list[tuple[float, float]]]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "A map that is right about the network falls away from the rest."
        )

    def sizeHint(self) -> QSize:
        """Return the size that shows all well."""
        return QSize(320, 9 * self.fontMetrics().height())

    def show_deletion(self, explanation: Mapping[str, Any]) -> None:
        """Draw the curves of an explanation; hidden where it has none."""
        found = (explanation.get("checks") or {}).get("deletion")
        self._lines = []
        if found:
            start = (0.0, float(explanation["prediction"]))
            for words, color, key in (
                ("strongest voxels hidden", _STRONGEST, "outputs"),
                ("other places hidden", _OTHERS, "random_outputs"),
            ):
                points = zip(found["shares"], found[key], strict=True)
                line = [start, *((float(x), float(y)) for x, y in points)]
                self._lines.append((words, color, line))
        self.setVisible(bool(self._lines))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the curves."""
        if not self._lines:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        points = [point for *_, line in self._lines for point in line]
        marks = ticks(min(y for _, y in points), max(y for _, y in points), 3)
        ends = [*marks, *(y for _, y in points)]
        area = self._area(marks)
        span = max(x for x, _ in points), min(ends), max(max(ends), min(ends) + 1e-9)
        self._draw_grid(painter, area, marks, span)
        for _, color, line in self._lines:
            painter.setPen(QPen(color, 1.8))
            painter.drawPolyline(QPolygonF([_at(area, span, *one) for one in line]))
        self._draw_legend(painter)
        painter.end()

    def _area(self, marks: Sequence[float]) -> QRectF:
        metrics = self.fontMetrics()
        left = max(metrics.horizontalAdvance(label_of(mark)) for mark in marks) + _GAP
        line = metrics.height()
        return QRectF(
            left, 1.5 * line, self.width() - left - 14, self.height() - 3.8 * line
        )

    def _draw_grid(
        self,
        painter: QPainter,
        area: QRectF,
        marks: Sequence[float],
        span: tuple[float, float, float],
    ) -> None:
        text = self.palette().windowText().color()
        faint, line = QColor(text), painter.fontMetrics().height()
        faint.setAlpha(45)
        for mark in marks:
            y = _at(area, span, 0.0, mark).y()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(text)
            box = QRectF(0, y - line / 2, area.left() - _GAP, line)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, flags, label_of(mark))
        for share in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
            if share <= span[0] + 1e-9:
                x = _at(area, span, share, marks[0]).x()
                box = QRectF(x - 30, area.bottom() + 3, 60, line)
                painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, f"{share:.0%}")
        box = QRectF(0, self.height() - line - 2, self.width(), line)
        painter.drawText(
            box, Qt.AlignmentFlag.AlignHCenter, "share of the brain hidden"
        )

    def _draw_legend(self, painter: QPainter) -> None:
        text, left = self.palette().windowText().color(), 2.0
        metrics = painter.fontMetrics()
        for words, color, _ in self._lines:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(left, metrics.height() / 2 - 2, 12, 4), 2, 2)
            painter.setPen(text)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            width = metrics.horizontalAdvance(words) + 4.0
            painter.drawText(QRectF(left + 17, 0, width, metrics.height()), 0, words)
            left += width + 27


def _at(
    area: QRectF, span: tuple[float, float, float], share: float, value: float
) -> QPointF:
    """Return where a point is drawn."""
    most, low, high = span
    x = area.left() + share / most * area.width()
    return QPointF(x, area.bottom() - (value - low) / (high - low) * area.height())
