"""A form made from a settings class: one field, one widget."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin

import annotated_types as at
from magicgui.widgets import CheckBox, ComboBox, FileEdit, LineEdit, create_widget
from magicgui.widgets.bases import ValueWidget
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.contract import name_shape
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.path_field import make_path_widget, path_row

FieldWidget: TypeAlias = ValueWidget[Any] | FileEdit

SHOWN_FIRST = ("epochs", "device")
"""Numbers people change at once; other numbers are folded away."""
FOLDED = ("dof",)
"""Choices that few people change."""
LABELS = {"dof": "DOF", "memory_gib": "Memory (GiB)"}


class Form(QWidget):
    """Widgets for every field of a settings class.

    Parameters
    ----------
    options
        The settings class.
    """

    changed = Signal()

    def __init__(self, options: type[Config], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = options
        self._exact: dict[str, tuple[Any, Any]] = {}
        self.widgets: dict[str, FieldWidget] = {}
        self._rows: dict[str, QWidget] = {}
        main, more = _field_layout(), _field_layout()
        for name, field in options.model_fields.items():
            widget = make_widget(name, field)
            widget.changed.connect(self._tell)
            self.widgets[name] = widget
            layout = main if _shown_first(name, field) else more
            self._rows[name] = _native(widget)
            layout.addRow(label_of(name), self._rows[name])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(main)
        if more.rowCount():
            column.addWidget(_folded(more))
        self._main = main

    def add_below(self, name: str, widget: QWidget) -> None:
        """Put a widget under a field that is always shown."""
        position = self._main.getWidgetPosition(self._rows[name])
        self._main.insertRow(position[0] + 1, "", widget)

    def _tell(self, value: object = None) -> None:
        self.changed.emit()

    def values(self) -> dict[str, Any]:
        """Return what is filled in, by field name; empty required paths are absent."""
        values: dict[str, Any] = {}
        for name, widget in self.widgets.items():
            value = widget.value
            if isinstance(widget, FileEdit):
                text = widget.line_edit.value.strip()
                if not text:
                    continue
                value = Path(text).expanduser()
            shown, exact = self._exact.get(name, (None, None))
            values[name] = exact if name in self._exact and shown == value else value
        return values

    def missing(self) -> list[str]:
        """Return the labels of required fields that are still empty."""
        values, fields = self.values(), self._options.model_fields
        required = [name for name, field in fields.items() if field.is_required()]
        return [label_of(name) for name in required if name not in values]

    def wrong(self) -> str:
        """Return what is wrong with what is filled in, whatever else is missing."""
        fields = self._options.model_fields
        missing = [name for name, field in fields.items() if field.is_required()]
        try:
            self._options.parse(dict.fromkeys(missing, Path()) | self.values())
        except ConfigError as error:
            return "\n".join(line.strip() for line in str(error).splitlines()[1:])
        return ""

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
                widget.line_edit.value = str(value)
                continue
            widget.value = _shown(value)
            # A box shows few decimals, and a choice without its options.
            self._exact[name] = (widget.value, value)


def make_widget(name: str, field: FieldInfo) -> FieldWidget:
    """Make the widget of one field, with its bounds, default and help."""
    extra = field.json_schema_extra
    extra = extra if isinstance(extra, dict) else {}
    options: dict[str, Any] = {"tooltip": field.description or "", "name": name}
    if "catalog" in extra:
        return _catalog_widget(str(extra["catalog"]), field, options)
    if field.annotation is Path:
        default = "" if field.is_required() else str(field.default)
        return make_path_widget(default, extra.get("path") == "output", options)
    if "text" in extra:
        line = LineEdit(value=_shown(field.default), **options)
        line.native.setPlaceholderText(str(extra["text"]))
        return line
    if get_origin(field.annotation) is Literal:
        options["choices"] = get_args(field.annotation)
    else:
        options |= _bounds(field)
    default = field.default
    value = {} if default is PydanticUndefined else {"value": default}
    widget = create_widget(annotation=field.annotation, options=options, **value)
    if not isinstance(widget, ValueWidget):
        raise TypeError(f"No widget for the field '{name}': {field.annotation}.")
    return widget


def label_of(name: str) -> str:
    """Return the words for a field name.

    Examples
    --------
    >>> label_of("spacing_mm"), label_of("batch_size")
    ('Spacing (mm)', 'Batch size')
    """
    if name in LABELS:
        return LABELS[name]
    words = name.removesuffix("_mm").replace("_", " ").capitalize()
    return f"{words} (mm)" if name.endswith("_mm") else words


def _catalog_widget(kind: str, field: FieldInfo, options: dict[str, Any]) -> ComboBox:
    """Offer the names of a catalog, each with its title as tooltip."""
    entries = list(CATALOGS[kind])
    names = [entry.name for entry in entries]
    box = ComboBox(choices=names, value=str(field.default), **options)
    native = box.native
    if isinstance(native, QComboBox):
        for entry in entries:
            row = native.findText(entry.name)
            native.setItemData(row, entry.title, Qt.ItemDataRole.ToolTipRole)
    return box


def _shown(value: Any) -> Any:
    """Return what a widget shows for a value that it cannot hold."""
    if isinstance(value, Choice):
        return value.name
    return name_shape(value) if isinstance(value, tuple) else value


def _bounds(field: FieldInfo) -> dict[str, Any]:
    """Return magicgui's min, max and step for a number."""
    # The step also sets how many decimals a box keeps.
    step: float = _finest(field.default) if field.annotation is float else 1
    bounds: dict[str, Any] = {"step": step}
    for limit in field.metadata:
        if isinstance(limit, at.Ge):
            bounds["min"] = limit.ge
        elif isinstance(limit, at.Gt):
            bounds["min"] = float(str(limit.gt)) + step
        elif isinstance(limit, at.Le):
            bounds["max"] = limit.le
        elif isinstance(limit, at.Lt):
            bounds["max"] = float(str(limit.lt)) - step
        elif isinstance(limit, at.MultipleOf):
            bounds["step"] = limit.multiple_of
    return bounds if "min" in bounds or "max" in bounds else {}


def _finest(default: object) -> float:
    """Return the step that shows `default` in full, and small ones two digits finer."""
    if not isinstance(default, float):
        return 0.01
    exponent = int(Decimal(str(default)).as_tuple().exponent)
    return float(10.0 ** min(exponent - 2 * (abs(default) < 0.1), -2))


def _shown_first(name: str, field: FieldInfo) -> bool:
    if name in FOLDED:
        return False
    choice = get_origin(field.annotation) is Literal or field.annotation is Choice
    return field.annotation is Path or choice or name in SHOWN_FIRST


def _field_layout() -> QFormLayout:
    layout = QFormLayout()
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
    layout.setContentsMargins(0, 0, 0, 0)
    return layout


def _native(widget: FieldWidget) -> QWidget:
    if isinstance(widget, CheckBox):
        widget.text = ""
    native: QWidget = widget.native
    return path_row(widget) if isinstance(widget, FileEdit) else native


def _folded(layout: QFormLayout) -> QCollapsible:
    inner = QWidget()
    inner.setLayout(layout)
    fold = QCollapsible("More settings", expandedIcon="▾", collapsedIcon="▸")
    fold.addWidget(inner)
    fold.collapse(animate=False)
    return fold
