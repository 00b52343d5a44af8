"""How many of which label, sex and age: bars in the colors of napari's theme."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_neuropretrain.data.cohort_summary import UNKNOWN, Histogram
from napari_neuropretrain.gui.cohort.table_model import COLORS

GROUP_COLORS = (
    "#4c8fd6",
    "#e08a3c",
    "#4fae7c",
    "#b377c9",
    "#d4b13a",
    "#d66a6a",
    "#5bb5c2",
    "#9a8f7c",
)
"""Distinct on dark and on light, also for people who see few colors."""
UNKNOWN_COLOR = "#8a8f98"
_MOST_BARS, _GAP = 8, 6.0


def group_color(index: int, name: str) -> QColor:
    """Return the color of a group."""
    own = {UNKNOWN: UNKNOWN_COLOR} | COLORS  # parts look as in the table
    return QColor(own.get(name, GROUP_COLORS[index % len(GROUP_COLORS)]))


class CohortCharts(QWidget):
    """Class balance above, histogram of the ages below; painted, no library."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ""
        self.groups: list[str] = []
        self.bars: dict[str, Counter[str]] = {}
        self.ages = Histogram((), {})
        policy = QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.MinimumExpanding)

    def show_counts(
        self, title: str, bars: Mapping[str, Counter[str]], ages: Histogram
    ) -> None:
        """Show other numbers.

        Parameters
        ----------
        title
            What the bars are, such as ``"diagnosis by sex"``.
        bars
            Counts by group of each value, the most frequent value first.
        ages
            Counts by the same groups.
        """
        shown = dict(list(bars.items())[:_MOST_BARS])
        for value, counts in list(bars.items())[_MOST_BARS:]:
            rest = shown.setdefault("others", Counter())
            rest.update(counts)
            del value
        names = {name for counts in bars.values() for name in counts} | set(ages.counts)
        self.groups = sorted(names, key=lambda name: (name == UNKNOWN, name))
        self.title, self.bars, self.ages = title, shown, ages
        lines = len(self.bars) + 2
        self.setMinimumHeight(int(self._line() * (lines + 6)))
        self.updateGeometry()
        self.update()

    def summary(self) -> str:
        """Return in words what is drawn, for people who cannot see it."""
        parts = [f"{value}: {counts.total()}" for value, counts in self.bars.items()]
        return f"{self.title}: {', '.join(parts)}" if parts else "Nobody is shown."

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the legend, the bars and the histogram from top to bottom."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(self.palette().windowText().color())
            line = self._line()
            if not self.bars:
                painter.drawText(
                    QRectF(0, 0, self.width(), line), 0, "Nobody is shown."
                )
                return
            top = self._legend(painter, line)
            top = self._balance(painter, top, line)
            self._histogram(painter, top + line / 2, line)

    def _legend(self, painter: QPainter, line: float) -> float:
        metrics = QFontMetricsF(self.font())
        painter.drawText(QRectF(0, 0, self.width(), line), 0, self.title)
        left, top = 0.0, line
        for index, name in enumerate(self.groups):
            width = line + metrics.horizontalAdvance(name) + 2 * _GAP
            if left and left + width > self.width():
                left, top = 0.0, top + line
            square = QRectF(left, top + line * 0.2, line * 0.6, line * 0.6)
            painter.fillRect(square, group_color(index, name))
            place = QRectF(left + line * 0.8, top, width, line)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, name)
            left += width
        return top + line

    def _balance(self, painter: QPainter, top: float, line: float) -> float:
        """Draw a bar for each value; return where it ends."""
        metrics = QFontMetricsF(self.font())
        names = [metrics.elidedText(v, _ELIDE, self.width() * 0.3) for v in self.bars]
        left = max(metrics.horizontalAdvance(name) for name in names) + _GAP
        most = max(counts.total() for counts in self.bars.values())
        room = metrics.horizontalAdvance(f" {most} (100 %)") + _GAP
        scale = max(self.width() - left - room, 1.0) / most
        everyone = sum(counts.total() for counts in self.bars.values())
        for name, counts in zip(names, self.bars.values(), strict=True):
            place = QRectF(0, top, left, line)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, name)
            right = self._stack(painter, left, top, line, scale, counts)
            share = f" {counts.total()} ({counts.total() / everyone:.0%})"
            share = share.replace("%", " %")
            place = QRectF(right, top, room, line)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, share)
            top += line
        return top

    def _stack(
        self,
        painter: QPainter,
        left: float,
        top: float,
        line: float,
        scale: float,
        counts: Mapping[str, int],
    ) -> float:
        for index, group in enumerate(self.groups):
            width = counts.get(group, 0) * scale
            bar = QRectF(left, top + line * 0.15, width, line * 0.7)
            painter.fillRect(bar, group_color(index, group))
            left += width
        return left

    def _histogram(self, painter: QPainter, top: float, line: float) -> None:
        """Draw the ages, stacked by group, with the years below."""
        edges = self.ages.edges
        known = sum(sum(counts) for counts in self.ages.counts.values())
        words = f"Age of {known} (years)" if edges else "No ages are known."
        painter.drawText(QRectF(0, top, self.width(), line), 0, words)
        if not edges:
            return
        top, bottom = top + line * 1.2, self.height() - line
        totals = _totals(self.ages)
        width = self.width() / len(totals)
        scale = max(bottom - top, 1.0) / max(totals)
        for place in range(len(totals)):
            floor = bottom
            for index, group in enumerate(self.groups):
                height = self.ages.counts.get(group, (0,) * len(totals))[place] * scale
                bar = QRectF(place * width + 1, floor - height, width - 2, height)
                painter.fillRect(bar, group_color(index, group))
                floor -= height
        painter.drawLine(0, round(bottom), self.width(), round(bottom))
        self._years(painter, bottom, line, width)

    def _years(
        self, painter: QPainter, bottom: float, line: float, width: float
    ) -> None:
        metrics, edges = QFontMetricsF(self.font()), self.ages.edges
        wide = metrics.horizontalAdvance("0000")
        step = max(1, -(-int(wide) // max(int(width), 1)))
        for index in range(0, len(edges), step):
            text = f"{edges[index]:g}"
            size = metrics.horizontalAdvance(text)
            left = min(max(index * width - size / 2, 0), self.width() - size)
            painter.drawText(QRectF(left, bottom, size + 1, line), 0, text)

    def _line(self) -> float:
        return QFontMetricsF(self.font()).height() * 1.25


_ELIDE = Qt.TextElideMode.ElideRight


def _totals(ages: Histogram) -> Sequence[int]:
    columns = zip(*ages.counts.values(), strict=True)
    return [max(sum(column), 0) for column in columns]
