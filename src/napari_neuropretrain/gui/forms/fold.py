"""A button that folds what is below it away."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget


class Fold(QWidget):
    """Hidden contents under a button; the Tab key passes them by.

    Parameters
    ----------
    title
        On the button.
    tip
        Its tooltip.
    content
        What is folded away.
    """

    def __init__(self, title: str, tip: str, content: QWidget) -> None:
        super().__init__()
        self._title, self._content = title, content
        self.button = QPushButton()
        self.button.setToolTip(tip)
        self.button.setStyleSheet("QPushButton { text-align: left; }")
        self.button.clicked.connect(lambda checked=False: self._turn())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.button)
        column.addWidget(content)
        self._show(False)

    def expand(self) -> None:
        """Show the contents."""
        self._show(True)

    def is_expanded(self) -> bool:
        """Whether the contents are shown."""
        return not self._content.isHidden()

    def _turn(self) -> None:
        self._show(not self.is_expanded())

    def _show(self, shown: bool) -> None:
        self.button.setText(f"{'▾' if shown else '▸'} {self._title}")
        self._content.setVisible(shown)
