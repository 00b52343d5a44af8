"""The panel of a model file: its card, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.jobs.job_layout import wide_button
from napari_neuropretrain.gui.models.card import Card
from napari_neuropretrain.gui.panels import open_panel

if TYPE_CHECKING:
    import napari

_LEAST_WIDTH = 360
_WORDS = {
    "model": ("Predict with this model…", "Opens Predict with the model filled in."),
    "encoder": ("Fine-tune from it…", "Opens Fine-tune with the weights filled in."),
}
_FIELDS = {"model": ("Predict", "model"), "encoder": ("Fine-tune", "initial_weights")}


class ModelPanel(QWidget):
    """The card of a model, and a button that opens the form it is for.

    Parameters
    ----------
    viewer
        Where the form is opened.
    card
        What is shown.
    """

    def __init__(self, viewer: napari.Viewer, card: Card) -> None:
        super().__init__()
        self._viewer = viewer
        self.card = card
        self.path = WrappedLabel(str(card.path))
        self.text = QPlainTextEdit(card.text)
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        words, tip = _WORDS[card.kind]
        self.button = wide_button(words, self.open_form, tip)
        column = QVBoxLayout(self)
        column.addWidget(self.path)
        column.addWidget(self.text, 1)
        column.addWidget(self.button)
        self.setMinimumWidth(_LEAST_WIDTH)

    def open_form(self) -> None:
        """Open the form with this file filled in."""
        form, name = _FIELDS[self.card.kind]
        widget = open_panel(self._viewer, form)
        field = widget.form.widgets[name]
        # A field for a path keeps what it is given in a line of text.
        line = getattr(field, "line_edit", field)
        line.value = str(self.card.path)
