"""A small painter for loss curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

_COLORS = ("#4c9be8", "#f0a030", "#50c878", "#c678dd")


class LossCurve(QWidget):
    """One line per loss, from the first epoch to the latest."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(110)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._losses: dict[str, Sequence[float]] = {}
        self.setVisible(False)

    def show_losses(self, losses: Mapping[str, Sequence[float]]) -> None:
        """Draw `losses`, by name."""
        self._losses = {name: values for name, values in losses.items() if values}
        self.setVisible(bool(self._losses))
        self.setToolTip(", ".join(f"{n}: {v[-1]:.4g}" for n, v in self._losses.items()))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the lines, with the range at the left and a legend above."""
        if not self._losses:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().windowText().color()
        area = QRectF(52, 20, self.width() - 60, self.height() - 28)
        low = min(min(values) for values in self._losses.values())
        high = max(max(values) for values in self._losses.values())
        painter.setPen(QPen(text, 1))
        painter.drawText(
            QRectF(0, 12, 48, 16), Qt.AlignmentFlag.AlignRight, f"{high:.3g}"
        )
        bottom = QRectF(0, area.bottom() - 8, 48, 16)
        painter.drawText(bottom, Qt.AlignmentFlag.AlignRight, f"{low:.3g}")
        left = area.left()
        for (name, values), color in zip(self._losses.items(), _COLORS, strict=False):
            painter.setPen(QPen(QColor(color), 2))
            painter.drawPolyline(_line(values, area, low, high))
            words = f"{name.replace('_', ' ')} {values[-1]:.3g}"
            width = painter.fontMetrics().horizontalAdvance(words)
            painter.drawText(QRectF(left, 0, width + 4, 18), 0, words)
            left += width + 16
        painter.end()


def _line(values: Sequence[float], area: QRectF, low: float, high: float) -> QPolygonF:
    """Return the points of one curve within `area`."""
    step = area.width() / max(len(values) - 1, 1)
    tall = area.height() / ((high - low) or 1.0)
    points = [
        QPointF(area.left() + i * step, area.bottom() - (value - low) * tall)
        for i, value in enumerate(values)
    ]
    return QPolygonF(points)
