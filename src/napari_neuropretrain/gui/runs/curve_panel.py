"""The curves of a run, and which of them to look at."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_neuropretrain.gui.runs.curve import CurvePlot
from napari_neuropretrain.runs.curves import LOSS, Curves


class CurvePanel(QWidget):
    """A choice of curves, a choice of scale, and the plot; hidden without curves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves = Curves()
        self.choice = QComboBox()
        self.choice.setToolTip(
            "Which curves to show; the dashed line is the epoch kept."
        )
        self.log = QCheckBox("Log scale")
        self.log.setToolTip("Space values by their logarithm; needs positive ones.")
        self.plot = CurvePlot()
        row = QHBoxLayout()
        row.addWidget(self.choice, 1)
        row.addWidget(self.log)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.plot, 1)
        self.choice.currentTextChanged.connect(self._draw)
        self.log.toggled.connect(self._draw)
        self.setVisible(False)

    def show_curves(self, curves: Curves) -> None:
        """Show the curves of a run; the group that was chosen stays chosen."""
        self._curves = curves
        titles = sorted(curves.groups, key=_rank)
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
        group = self._curves.groups.get(self.choice.currentText(), {})
        curves = list(group.values())
        positive = all(value > 0 for curve in curves for value in curve.values)
        self.log.setEnabled(positive)
        log = positive and self.log.isChecked()
        self.plot.show_curves(curves, self._curves.best, log)


def _rank(title: str) -> tuple[int, str]:
    """Put the losses first, probes next, the learning rate last."""
    first = (LOSS, "Probe", "Feature", "Parts")
    last = len(first) + (title == "Learning rate")
    place = (i for i, start in enumerate(first) if title.startswith(start))
    return next(place, last), title
