"""A choice of long names that begin alike, such as those of maps."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QPaintEvent
from qtpy.QtWidgets import (
    QComboBox,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)


class LongChoice(QComboBox):
    """Leaves out the middle of names, and does not make the dock wider for them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.setSizeAdjustPolicy(policy)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def shortened(self) -> str:
        """Return what is drawn of the name that is chosen."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return self._shorten(option)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the frame, and the name as far as it fits."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = self._shorten(option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _shorten(self, option: QStyleOptionComboBox) -> str:
        kind = QStyle.ComplexControl.CC_ComboBox
        field = QStyle.SubControl.SC_ComboBoxEditField
        style = self.style()
        wide = self.width()
        if style is not None:
            wide = style.subControlRect(kind, option, field, self).width()
        words, middle = self.currentText(), Qt.TextElideMode.ElideMiddle
        # A style leaves some room at both ends of the field.
        return self.fontMetrics().elidedText(words, middle, wide - 8)
