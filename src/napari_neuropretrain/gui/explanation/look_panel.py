"""How a map is drawn: threshold, clipping and display range, opacity."""

from __future__ import annotations

import math

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QWidget,
)

from napari_neuropretrain.gui.explanation.colour_bar import ColourBar
from napari_neuropretrain.gui.scans.overlay import OverlayLook

_STEPS = 1000
_DIGITS = 4
"""Significant digits of the largest value that can be set."""


class LookPanel(QWidget):
    """Sizes in units of the map; both signs are treated alike."""

    changed = Signal(object)
    """Emitted with the `OverlayLook` that was set."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._largest, self._whole, self._filling = 1.0, 1.0, False
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setAccessibleName("Threshold")
        self.clip_low, self.clip_high = _number(), _number()
        self.display_low, self.display_high = _number(), _number()
        self.linked = QCheckBox("Colours begin at the threshold")
        self.fade = QCheckBox("Opacity by magnitude")
        self.bar = ColourBar()
        self._lay_out()
        self._explain()
        self.slider.valueChanged.connect(self._slide)
        for field in (
            self.clip_low,
            self.clip_high,
            self.display_low,
            self.display_high,
        ):
            field.valueChanged.connect(self._tell)
        self.linked.toggled.connect(self._tell)
        self.fade.toggled.connect(self._tell)

    def show_look(self, look: OverlayLook, largest: float) -> None:
        """Fill in how a map is drawn whose largest value is `largest`."""
        self._filling, self._largest = True, largest
        decimals = max(0, _DIGITS - 1 - math.floor(math.log10(largest)))
        for field in (
            self.clip_low,
            self.clip_high,
            self.display_low,
            self.display_high,
        ):
            field.setDecimals(decimals)
            # A map may be drawn as a stronger one is.
            field.setRange(0, 10 * max(largest, look.display_high))
            field.setSingleStep(largest / 50)
        self.display_high.setMinimum(10.0**-decimals)
        self._whole = round(largest, decimals)
        self.clip_low.setValue(look.threshold)
        clip = self._whole if look.clip_above is None else look.clip_above
        self.clip_high.setValue(clip)
        self.display_low.setValue(look.first_color)
        self.display_high.setValue(look.display_high)
        self.linked.setChecked(look.display_low is None)
        self.display_low.setEnabled(look.display_low is not None)
        self.fade.setChecked(look.fade)
        self.slider.setValue(round(_STEPS * math.sqrt(look.threshold / largest)))
        self._filling = False

    def look(self) -> OverlayLook:
        """Return what is filled in."""
        clip = self.clip_high.value()
        return OverlayLook(
            threshold=self.clip_low.value(),
            display_high=self.display_high.value(),
            display_low=None if self.linked.isChecked() else self.display_low.value(),
            clip_above=None if clip >= self._whole else clip,
            fade=self.fade.isChecked(),
        )

    def _slide(self, position: int) -> None:
        # Small thresholds need the finer steps.
        if not self._filling:
            self.clip_low.setValue((position / _STEPS) ** 2 * self._largest)

    def _tell(self, value: object = None) -> None:
        if not self._filling:
            self.changed.emit(self.look())

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(QLabel("Threshold"), 0, 0)
        grid.addWidget(self.slider, 0, 1, 1, 3)
        for row, (title, low, high) in enumerate(
            (
                ("Clipping range", self.clip_low, self.clip_high),
                ("Display range", self.display_low, self.display_high),
            ),
            start=1,
        ):
            grid.addWidget(QLabel(title), row, 0)
            grid.addWidget(low, row, 1)
            grid.addWidget(QLabel("to"), row, 2)
            grid.addWidget(high, row, 3)
        grid.addWidget(self.linked, 3, 0, 1, 4)
        grid.addWidget(self.fade, 4, 0, 1, 4)
        grid.addWidget(self.bar, 5, 0, 1, 4)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)

    def _explain(self) -> None:
        words = "Only values whose size lies in this range are drawn, of both signs."
        for field in (self.slider, self.clip_low, self.clip_high):
            field.setToolTip(words)
        words = "From the first to the last colour; larger values keep the last one."
        for field in (self.display_low, self.display_high):
            field.setToolTip(words)
        self.linked.setToolTip(
            "The display range begins where the clipping range does."
        )
        self.fade.setToolTip("The smaller a value, the more of the scan is seen.")


def _number() -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setKeyboardTracking(False)
    field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    # Keys and wheel do as well; in a narrow dock buttons would hide digits.
    field.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    field.setMinimumWidth(field.fontMetrics().horizontalAdvance("0.0000000"))
    return field
