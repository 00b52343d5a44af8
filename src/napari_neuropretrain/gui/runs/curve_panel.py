"""The curves of one run or of several, and which of them to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.runs.curve_lines import all_positive, lines_of, titles_of
from napari_neuropretrain.runs.curves import LOSS, Curves

if TYPE_CHECKING:
    from napari_neuropretrain.gui.runs.curve_plot import CurvePlot

_STEPS = 20
"""Of the slider; the last one would smooth for ever."""
_SLIDER_WIDTH = 40
_LEAST_HEIGHT = 190
"""Of the choice, the legend and the plot, in pixels."""


class CurvePanel(QWidget):
    """A choice of curves, scale, smoothing, and the plot; hidden without curves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: dict[str, Curves] = {}
        self.plot: CurvePlot | None = None
        self.choice = QComboBox()
        self.choice.setToolTip(
            "Which curves to show; the dotted line is the epoch kept."
        )
        # As wide as there is room; a long name must not squeeze what is beside it.
        self.choice.setMinimumContentsLength(8)
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.log = QCheckBox("Log")
        self.log.setToolTip("Logarithmic scale; needs positive values.")
        self.smoothing = QSlider(Qt.Orientation.Horizontal)
        self.smoothing.setRange(0, _STEPS - 1)
        self.smoothing.setFixedWidth(_SLIDER_WIDTH)
        tip = "Average each value with those before it; to the left: not at all."
        self.smoothing.setToolTip(tip)
        smooth = QLabel("Smooth")
        smooth.setToolTip(tip)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.choice, 1)
        for widget in (self.log, smooth, self.smoothing):
            row.addWidget(widget)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addLayout(row)
        self.choice.currentTextChanged.connect(self._draw)
        self.log.toggled.connect(self._draw)
        self.smoothing.valueChanged.connect(self._draw)
        # A layout with wrapped labels forgets how high the plot is at least.
        self.setMinimumHeight(_LEAST_HEIGHT)
        self.setVisible(False)

    def show_curves(self, curves: Curves) -> None:
        """Show the curves of a run; the group that was chosen stays chosen."""
        self.show_runs({"": curves})

    def show_runs(self, runs: Mapping[str, Curves]) -> None:
        """Show the curves of several runs in one plot, by the names of the runs."""
        self._runs = {name: one for name, one in runs.items() if one.groups}
        titles = titles_of(list(self._runs.values()))
        shown = [self.choice.itemText(row) for row in range(self.choice.count())]
        if titles != shown:
            chosen = self.choice.currentText()
            self.choice.blockSignals(True)
            self.choice.clear()
            self.choice.addItems(titles)
            self.choice.setCurrentText(chosen if chosen in titles else LOSS)
            self.choice.blockSignals(False)
        self.setVisible(bool(titles))
        self._draw()

    def _draw(self, changed: object = None) -> None:
        title, runs = self.choice.currentText(), list(self._runs.values())
        positive = all_positive(runs, title)
        self.log.setEnabled(positive)
        lines = lines_of(self._runs, title, self.smoothing.value() / _STEPS)
        if lines:
            self.prepare()
        if self.plot is not None:
            self.plot.show_lines(lines, positive and self.log.isChecked())

    def prepare(self) -> None:
        """Load pyqtgraph and make the plot: a tenth of a second.

        Not with the widget, which should open fast, and not with the first curve,
        when a training is under way and the viewer should stay fluid.
        """
        if self.plot is None:
            from napari_neuropretrain.gui.runs.curve_plot import CurvePlot

            self.plot = CurvePlot()
            self._column.addWidget(self.plot, 1)
