"""A question in the panel, with two buttons; no dialog that blocks the viewer."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel


class ConfirmStrip(QWidget):
    """Hidden until it asks.

    Attributes
    ----------
    subject
        What the question is about.
    """

    agreed = Signal(str)
    """Emitted with the subject when the answer is yes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.subject = ""
        self.question = WrappedLabel()
        self.yes, self.no = QPushButton(), QPushButton("Keep")
        self.yes.setToolTip("Do what is asked above.")
        self.no.setToolTip("Leave all as it is.")
        self.yes.clicked.connect(self._agree)
        self.no.clicked.connect(self.hide)
        row = QHBoxLayout()
        row.addWidget(self.yes)
        row.addWidget(self.no)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.question)
        column.addLayout(row)
        self.hide()

    def ask(self, subject: str, question: str, yes: str) -> None:
        """Ask about a subject; `yes` is written on the button that agrees."""
        self.subject = subject
        self.question.setText(question)
        self.yes.setText(yes)
        self.show()

    def _agree(self) -> None:
        self.hide()
        self.agreed.emit(self.subject)
