"""A label of several lines that is never cut off."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QSize
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel

_OTHER_FONT = (
    QEvent.Type.Polish,
    QEvent.Type.Show,
    QEvent.Type.FontChange,
    QEvent.Type.StyleChange,
)


class WrappedLabel(QLabel):
    """Wrapped words, as high as they need.

    Layouts do not always ask a wrapped label how high it is at its width.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self._laid_out = False
        self.setWordWrap(True)

    def setText(self, text: str | None) -> None:
        """Show `text`."""
        super().setText(text)
        self._grow()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Take the height that the new width needs."""
        super().resizeEvent(event)
        self._laid_out = True
        self._grow()

    def sizeHint(self) -> QSize:
        """Return the height at its width; Qt's is one at a width that it guesses."""
        hint = super().sizeHint()
        if self._laid_out:
            hint.setHeight(max(0, self.heightForWidth(self.width())))
        return hint

    def event(self, event: QEvent | None) -> bool:
        """Measure anew where the theme gives it another font."""
        done = super().event(event)
        if event is not None and event.type() in _OTHER_FONT:
            self._grow()
        return done

    def _grow(self) -> None:
        if self.width() > 0:
            self.setMinimumHeight(0)  # it would count, too
            self.setMinimumHeight(max(0, self.heightForWidth(self.width())))
