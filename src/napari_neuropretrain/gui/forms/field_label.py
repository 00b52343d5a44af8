"""The name of a field that is higher than one line."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

_OTHER_HEIGHT = (
    QEvent.Type.Polish,
    QEvent.Type.Show,
    QEvent.Type.FontChange,
    QEvent.Type.StyleChange,
)


class FieldLabel(QLabel):
    """A name that stands beside the first line of its field.

    Parameters
    ----------
    text
        The name.
    beside
        The first line.
    """

    def __init__(self, text: str, beside: QWidget) -> None:
        super().__init__(text)
        self._beside = beside
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        policy = QSizePolicy.Policy
        self.setSizePolicy(policy.Preferred, policy.Expanding)

    def event(self, event: QEvent | None) -> bool:
        """Measure anew where the theme gives another height."""
        done = super().event(event)
        if event is not None and event.type() in _OTHER_HEIGHT:
            self._stand_beside()
        return done

    def _stand_beside(self) -> None:
        own = self.contentsMargins().top()
        spare = self._beside.sizeHint().height() - (self.sizeHint().height() - own)
        above = max(0, spare // 2)
        if above != own:
            self.setContentsMargins(0, above, 0, 0)
