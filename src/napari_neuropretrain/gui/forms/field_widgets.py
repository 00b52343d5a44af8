"""One widget for each kind of field of a settings class."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin

import annotated_types as at
from magicgui.widgets import ComboBox, FileEdit, LineEdit, create_widget
from magicgui.widgets.bases import ValueWidget
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox

from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.contract import name_shape
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.gui.forms.path_field import make_path_widget

FieldWidget: TypeAlias = ValueWidget[Any] | FileEdit

LABELS = {
    "age": "Age (years)",
    "checkpoint_minutes": "Checkpoint every (min)",
    "dof": "DOF",
    "ema": "EMA",
    "memory_gib": "Memory (GiB)",
    "patch": "Patch (voxels)",
    "patience": "Patience (epochs)",
    "probe_every": "Probe every (epochs)",
    "rotation_degrees": "Rotation (°)",
    "seconds": "At most (s)",
    "shape": "Shape (voxels)",
    "translation_voxels": "Translation (voxels)",
    "unfreeze_every": "Unfreeze (epochs)",
    "warmup_epochs": "Warm-up (epochs)",
    "mlp_dim": "MLP width",
    "mlp_ratio": "MLP ratio",
    "dim": "Width",
    "dim_head": "Width of a head",
    "norms": "Normalisation too",
}


def make_widget(name: str, field: FieldInfo) -> FieldWidget:
    """Make the widget of one field, with its bounds, default and help."""
    options: dict[str, Any] = {"tooltip": field.description or "", "name": name}
    if catalog := _extra(field, "catalog"):
        return _catalog_widget(str(catalog), field, options)
    if field.annotation is Path:
        empty = field.is_required() or field.default == NOTHING
        default = "" if empty else str(field.default)
        return make_path_widget(default, _extra(field, "path") == "output", options)
    placeholder = _extra(field, "text")
    if placeholder or is_list(field):
        line = LineEdit(value=shown_value(field.default, field), **options)
        line.native.setPlaceholderText(str(placeholder or "with commas"))
        line.native.setCursorPosition(0)  # or a narrow line shows its end
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
    if isinstance(widget.native, QAbstractSpinBox):
        widget.native.setSpecialValueText(str(_extra(field, "zero") or ""))
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


def is_list(field: FieldInfo) -> bool:
    """Whether a field holds several values, which people write with commas."""
    return get_origin(field.annotation) is tuple and not _extra(field, "text")


def from_list(text: str) -> list[str]:
    """Return what is between the commas.

    Examples
    --------
    >>> from_list("6, 12,")
    ['6', '12']
    """
    return [part.strip() for part in text.split(",") if part.strip()]


def shown_value(value: Any, field: FieldInfo) -> Any:
    """Return what a widget shows for a value that it cannot hold."""
    if not isinstance(value, tuple):
        return value
    return ", ".join(map(str, value)) if is_list(field) else name_shape(value)


def _extra(field: FieldInfo, name: str) -> Any:
    extra = field.json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None


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
