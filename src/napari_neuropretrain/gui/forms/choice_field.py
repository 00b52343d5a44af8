"""The field of a catalog entry: its name, what it is, and its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.gui.forms.tab_order import tab_down
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari_neuropretrain.gui.forms.form import Form


class ChoiceField(QWidget):
    """A box with names, the title of the chosen entry, and its options on demand.

    Parameters
    ----------
    box
        Offers the names.
    make_form
        Makes the form of an options class.
    field
        Says which catalog.
    """

    changed = Signal()
    """Emitted when an option changes; the box tells of itself."""

    def __init__(
        self, box: ComboBox, make_form: Callable[[type[Config]], Form], field: FieldInfo
    ) -> None:
        super().__init__()
        extra = field.json_schema_extra
        self._catalog = str(extra["catalog"]) if isinstance(extra, dict) else ""
        self._box, self._make_form = box, make_form
        self.first_line: QWidget = box.native
        self.form: Form | None = None
        self._defaults: dict[str, Any] = {}
        self.title = Explanation()
        self.options_button = side_button("Options…", "Show or hide its options.")
        self.options_button.setCheckable(True)
        self.options_button.toggled.connect(self._show_options)
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(box.native, 1)
        row.addWidget(self.options_button)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._column.addLayout(row)
        self._column.addWidget(self.title)
        box.changed.connect(self._show_entry)
        self._show_entry()

    def value(self) -> str | dict[str, Any]:
        """Return the name, with the options that were changed."""
        name = str(self._box.value)
        given = self.form.values() if self.form is not None else {}
        changed = {
            option: value
            for option, value in given.items()
            if self._defaults[option] != value
        }
        return {"name": name, **changed} if changed else name

    def fill(self, choice: Choice) -> None:
        """Show an entry with its options."""
        self._box.value = choice.name
        if self.form is not None:
            self.form.fill(choice.options)

    def _show_entry(self, name: object = None) -> None:
        """Show title and options of the chosen entry."""
        entry = CATALOGS[self._catalog][str(self._box.value)]
        self.title.setText(entry.title)
        if self.form is not None:
            self._column.removeWidget(self.form)
            self.form.hide()
            self.form.deleteLater()
        self.form = self._make_form(entry.options)
        self._defaults = self.form.values()
        self.form.changed.connect(self.changed)
        self._column.addWidget(self.form)
        tab_down(self.options_button, self.form)
        self.form.setVisible(self.options_button.isChecked())
        self.options_button.setEnabled(bool(entry.options.model_fields))

    def _show_options(self, shown: bool) -> None:
        if self.form is not None:
            self.form.setVisible(shown)


class Explanation(WrappedLabel):
    """Small words under a field; hidden where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.setStyleSheet("QLabel { font-size: 11px; }")  # in the theme's colour

    def setText(self, text: str | None) -> None:
        """Show `text`, or nothing."""
        super().setText(text)
        self.setVisible(bool(text))


def side_button(text: str, tip: str) -> QPushButton:
    """Make a button that stands beside a field and is no wider than its text."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    return button
