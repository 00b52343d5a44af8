"""A form made from a settings class: one field, one widget."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_origin

from magicgui.widgets import CheckBox, ComboBox, FileEdit
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.forms.choice_field import ChoiceField
from napari_neuropretrain.gui.forms.field_label import FieldLabel
from napari_neuropretrain.gui.forms.field_reasons import FieldReasons, say_needed
from napari_neuropretrain.gui.forms.field_widgets import (
    FieldWidget,
    from_list,
    is_list,
    label_of,
    make_widget,
    shown_value,
)
from napari_neuropretrain.gui.forms.fold import Fold
from napari_neuropretrain.gui.forms.path_field import path_row
from napari_neuropretrain.gui.forms.tab_order import tab_down
from napari_neuropretrain.gui.forms.weights_field import WeightsField

SHOWN_FIRST = ("epochs", "device", "age")
"""Numbers people change at once; other numbers are folded away."""
FOLDED = ("dof", "probe", "optimiser")
"""Choices that few people change."""


class Form(QWidget):
    """Widgets for every field of a settings class.

    Parameters
    ----------
    options
        The settings class.
    flat
        Show every field at once; else numbers that few people change are folded.

    Attributes
    ----------
    wanted
        Fields that must be filled in besides the required ones.
    """

    changed = Signal()

    def __init__(
        self,
        options: type[Config],
        parent: QWidget | None = None,
        flat: bool = False,
    ) -> None:
        super().__init__(parent)
        self._options = options
        self.choices: dict[str, ChoiceField] = {}
        self.weights: dict[str, WeightsField] = {}
        self._exact: dict[str, tuple[Any, Any]] = {}
        self.widgets: dict[str, FieldWidget] = {}
        self.wanted: set[str] = set()
        self._unused: set[str] = set()
        self._rows: dict[str, QWidget] = {}
        main, more = _field_layout(wrapped=flat), _field_layout()
        for name, field in options.model_fields.items():
            widget = make_widget(name, field)
            widget.changed.connect(self._tell)
            self.widgets[name] = widget
            layout = main if flat or _shown_first(name, field) else more
            self._rows[name] = self._row(name, widget, field)
            layout.addRow(self._label(name), self._rows[name])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(main)
        fold = _fold(more) if more.rowCount() else None
        if fold is not None:
            column.addWidget(fold)
        self._layouts = (main, more)
        self._reasons = FieldReasons(self._layouts, fold)
        self._main = main

    def add_below(self, name: str, widget: QWidget) -> None:
        """Put a widget under a field that is always shown."""
        position = self._main.getWidgetPosition(self._rows[name])
        self._main.insertRow(position[0] + 1, "", widget)
        tab_down(self._rows[name], widget)

    def set_used(self, name: str, used: bool, why: str = "") -> None:
        """Let a field be filled in, or leave it out and say in it why."""
        row = self._rows[name]
        row.setEnabled(used)
        for layout in self._layouts:
            if (label := layout.labelForField(row)) is not None:
                label.setEnabled(used)
        widget = self.widgets[name]
        if isinstance(widget, FileEdit):
            line = widget.line_edit.native
            line.setPlaceholderText("" if used else why)
        (self._unused.discard if used else self._unused.add)(name)

    def _row(self, name: str, widget: FieldWidget, field: FieldInfo) -> QWidget:
        """Return what is shown of a field, with what belongs to it."""
        if field.annotation is Choice and isinstance(widget, ComboBox):
            choice = ChoiceField(widget, partial(Form, flat=True), field)
            choice.changed.connect(self._tell)
            self.choices[name] = choice
            return choice
        if _of_weights(field):
            self.weights[name] = WeightsField(widget)
            return self.weights[name]
        if isinstance(widget, CheckBox):
            widget.text = ""
        native: QWidget = widget.native
        return path_row(widget) if isinstance(widget, FileEdit) else native

    def _label(self, name: str) -> QLabel:
        """Return the name of a field, beside its first line."""
        row = self._rows[name]
        if isinstance(row, ChoiceField | WeightsField):
            return FieldLabel(label_of(name), row.first_line)
        return QLabel(label_of(name))

    def _tell(self, value: object = None) -> None:
        self.changed.emit()

    def values(self) -> dict[str, Any]:
        """Return what is filled in, by field name; empty required paths are absent."""
        values: dict[str, Any] = {}
        for name, widget in self.widgets.items():
            if name in self._unused:
                continue
            if name in self.choices:
                values[name] = self.choices[name].value()
                continue
            value = widget.value
            if isinstance(widget, FileEdit):
                text = widget.line_edit.value.strip()
                if not text:
                    continue
                value = Path(text).expanduser()
            shown, exact = self._exact.get(name, (None, None))
            if name in self._exact and shown == value:
                values[name] = exact
            elif is_list(self._options.model_fields[name]):
                values[name] = from_list(str(value))
            else:
                values[name] = value
        return values

    def missing(self) -> list[str]:
        """Return the labels of required fields that are still empty."""
        values = self.values()
        empty = [name for name in self._required() if name not in values]
        say_needed(self.widgets, empty)
        return [label_of(name) for name in empty]

    def point_out(self, reasons: Mapping[str, str]) -> None:
        """Write under fields, by their names, why they are not right."""
        self._reasons.show(self._rows, reasons)

    def wrong(self) -> str:
        """Return what is wrong with what is filled in, whatever else is missing."""
        placeholders = dict.fromkeys(self._required(), Path())
        try:
            self._options.parse(placeholders | self.values())
        except ConfigError as error:
            return "\n".join(line.strip() for line in str(error).splitlines()[1:])
        return ""

    def _required(self) -> list[str]:
        fields = self._options.model_fields.items()
        return [n for n, field in fields if field.is_required() or n in self.wanted]

    def config(self) -> Config:
        """Return the settings.

        Raises
        ------
        ConfigError
            If one is missing or not allowed.
        """
        return self._options.parse(self.values(), source="the form")

    def fill(self, config: Config) -> None:
        """Show the settings `config`."""
        for name, widget in self.widgets.items():
            value = getattr(config, name)
            if isinstance(widget, FileEdit):
                widget.line_edit.value = "" if value == NOTHING else str(value)
                continue
            if name in self.choices:
                self.choices[name].fill(value)
                continue
            widget.value = shown_value(value, self._options.model_fields[name])
            # A box shows few decimals, and some text instead of numbers.
            self._exact[name] = (widget.value, value)

    def propose(self, values: Mapping[str, Any]) -> None:
        """Show other values than the defaults in some fields, to begin with."""
        for name, value in values.items():
            widget = self.widgets[name]
            if isinstance(widget, FileEdit):
                widget.line_edit.value = str(value)
            else:
                widget.value = value


def _shown_first(name: str, field: FieldInfo) -> bool:
    if name in FOLDED:
        return False
    choice = get_origin(field.annotation) is Literal or field.annotation is Choice
    path = field.annotation is Path or _of_weights(field)
    return path or choice or name in SHOWN_FIRST


def _of_weights(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and "weights" in extra


def _field_layout(wrapped: bool = False) -> QFormLayout:
    """Lay out fields beside their names; below them where there is too little room."""
    layout = QFormLayout()
    if wrapped:
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
    layout.setContentsMargins(0, 0, 0, 0)
    return layout


def _fold(layout: QFormLayout) -> Fold:
    inner = QWidget()
    inner.setLayout(layout)
    return Fold("More settings", "Show or hide the settings few people change.", inner)
