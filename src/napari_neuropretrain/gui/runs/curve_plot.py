"""Curves over the epochs, drawn by pyqtgraph in the colours of the viewer's theme.

Import it when the first curve is drawn, and not before.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.runs.curve_lines import Line

_FEW = 40
"""Epochs up to which each is marked by a dot."""
_RESTYLE = (QEvent.Type.StyleChange, QEvent.Type.PaletteChange, QEvent.Type.FontChange)


class CurvePlot(QWidget):
    """Some lines on one axis; the epoch under the mouse is read out above them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lines: tuple[Line, ...] = ()
        self.pointed: int | None = None
        self.legend = WrappedLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        axes = {"bottom": EpochAxis("bottom"), "left": pg.AxisItem("left")}
        self.view = pg.PlotWidget(background=None, axisItems=axes)
        self.view.setMinimumHeight(130)
        # As high as there is room; it asks for no more than that.
        policy = QSizePolicy.Policy
        self.view.setSizePolicy(policy.Expanding, policy.Ignored)
        self.view.setFrameShape(self.view.Shape.NoFrame)
        item = self.view.getPlotItem()
        item.setMenuEnabled(False)
        item.setClipToView(True)
        item.setDownsampling(auto=True, mode="peak")
        item.getAxis("left").enableAutoSIPrefix(False)
        item.getAxis("bottom").enableAutoSIPrefix(False)
        item.getAxis("bottom").setLabel("epoch")
        item.layout.setContentsMargins(1, 1, 1, 4)  # else its letters are cut below
        item.vb.setDefaultPadding(0.04)
        self._items: list[Any] = []
        self._cursor = pg.InfiniteLine(angle=90)
        self._cursor.setVisible(False)
        item.addItem(self._cursor, ignoreBounds=True)
        self.view.scene().sigMouseMoved.connect(self._point_at)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.legend)
        column.addWidget(self.view, 1)
        self._restyle()

    def show_lines(self, lines: Sequence[Line], log: bool = False) -> None:
        """Draw lines.

        Parameters
        ----------
        lines
            Each with at least one point.
        log
            Whether the values are spaced by their logarithm; all are positive then.
        """
        self.lines = tuple(lines)
        item = self.view.getPlotItem()
        for old in self._items:
            item.removeItem(old)
        item.setLogMode(y=log)
        self._items = [part for line in self.lines for part in _draw(line)]
        for part in self._items:
            item.addItem(part)
        # Lines of zeros would have no height.
        item.vb.setLimits(minYRange=_least_range(self.lines, log))
        item.vb.updateAutoRange()
        self._say()

    def values(self) -> list[tuple[str, str]]:
        """Return label and value of each line: at the mouse, else the latest one."""
        found = []
        for line in self.lines:
            value = line.values[-1] if self.pointed is None else line.at(self.pointed)
            words = "–" if value is None else f"{value:.4g}"
            found.append((line.label, words))
        return found

    def point(self, epoch: float | None) -> None:
        """Read out the nearest epoch, or the latest one again."""
        epochs = {one for line in self.lines for one in line.epochs}
        self.pointed = None
        if epoch is not None and epochs:
            self.pointed = min(epochs, key=lambda one: abs(one - epoch))
            self._cursor.setValue(self.pointed)
        self._cursor.setVisible(self.pointed is not None)
        self._say()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Read out the latest epoch again."""
        self.point(None)

    def changeEvent(self, event: QEvent | None) -> None:
        """Take the colours of another theme."""
        super().changeEvent(event)
        if event is not None and event.type() in _RESTYLE and hasattr(self, "_cursor"):
            self._restyle()

    def _point_at(self, position: Any) -> None:
        box = self.view.getPlotItem().vb
        inside = box.sceneBoundingRect().contains(position)
        self.point(box.mapSceneToView(position).x() if inside else None)

    def _say(self) -> None:
        words = [
            f'<span style="color:{line.color}">{"╌╌" if line.dashed else "━━"}</span>'
            + _unbroken(f" {label} {value}".rstrip())
            for line, (label, value) in zip(self.lines, self.values(), strict=True)
        ]
        if self.pointed is not None:
            words.append(f"epoch&nbsp;{self.pointed}")
        self.legend.setText(" &nbsp; ".join(words))

    def _restyle(self) -> None:
        self.ensurePolished()
        text = QColor(self.palette().windowText().color())
        soft = QColor(text)
        soft.setAlpha(150)
        item = self.view.getPlotItem()
        for name in ("left", "bottom"):
            axis = item.getAxis(name)
            axis.setTextPen(text)
            axis.setPen(soft)
            axis.setStyle(tickFont=self.font(), tickTextOffset=4, tickLength=-4)
        item.showGrid(x=False, y=True, alpha=0.18)
        self._cursor.setPen(pg.mkPen(soft))


class EpochAxis(pg.AxisItem):  # type: ignore[misc, unused-ignore]
    """An axis of whole numbers."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> Any:
        """Return ticks between two numbers; half epochs have none."""
        levels = super().tickValues(minVal, maxVal, size)
        whole = [(max(space, 1.0), ticks) for space, ticks in levels if space >= 1]
        if whole:
            return whole
        first, last = math.ceil(minVal), math.floor(maxVal)
        return [(1.0, [float(one) for one in range(first, last + 1)])]


def _unbroken(words: str) -> str:
    """Keep words on one line, at spaces and at hyphens."""
    return html.escape(words).replace(" ", "&nbsp;").replace("-", "&#8209;")


def _draw(line: Line) -> list[Any]:
    """Return what is drawn of a line: itself, what it smooths, and its best epoch."""
    style = Qt.PenStyle.DashLine if line.dashed else Qt.PenStyle.SolidLine
    pen = pg.mkPen(QColor(line.color), width=2, style=style)
    dots: dict[str, Any] = {}
    if len(line.epochs) <= _FEW:
        dots = {"symbol": "o", "symbolSize": 5, "symbolPen": None}
        dots |= {"symbolBrush": QColor(line.color)}
    parts = []
    if line.smooth:
        faint = QColor(line.color)
        faint.setAlpha(70)
        thin = pg.mkPen(faint, width=1)
        parts.append(pg.PlotDataItem(line.epochs, line.values, pen=thin))
        parts.append(pg.PlotDataItem(line.epochs, line.smooth, pen=pen))
    else:
        parts.append(pg.PlotDataItem(line.epochs, line.values, pen=pen, **dots))
    for part in parts:
        part.opts["antialias"] = True
        part.curve.opts["antialias"] = True
    if line.best is not None:
        mark = pg.mkPen(QColor(line.color), width=1, style=Qt.PenStyle.DotLine)
        parts.append(pg.InfiniteLine(line.best, angle=90, pen=mark))
    return parts


def _least_range(lines: Sequence[Line], log: bool) -> float:
    """Return the least height of the axis: a change in the fourth digit looks flat."""
    largest = max((abs(one) for line in lines for one in line.values), default=1.0)
    return 0.01 if log else 0.02 * largest or 1.0
