"""What a setting is called, means and is by default, on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import annotated_types as bounds
from pydantic.fields import FieldInfo

from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.contract import name_shape


def flag_of(name: str) -> str:
    """Return the flag of a setting.

    Examples
    --------
    >>> flag_of("batch_size")
    '--batch-size'
    """
    return "--" + name.replace("_", "-")


def default_of(field: FieldInfo) -> Any:
    """Return the default as it would be typed."""
    default = field.default
    if note_of(field, "text"):
        return name_shape(default)
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default) if isinstance(default, Path) else default


def help_of(field: FieldInfo) -> str:
    """Return the sentence under a setting, with its bounds or the known names."""
    text = (field.description or "").rstrip(".")
    if catalog := note_of(field, "catalog"):
        names = ", ".join(entry.name for entry in CATALOGS[catalog])
        return f"{text}: {names}"
    low = [str(m.ge) for m in field.metadata if isinstance(m, bounds.Ge)]
    low += [f"over {m.gt}" for m in field.metadata if isinstance(m, bounds.Gt)]
    high = [str(m.le) for m in field.metadata if isinstance(m, bounds.Le)]
    high += [f"under {m.lt}" for m in field.metadata if isinstance(m, bounds.Lt)]
    return f"{text} [{low[0]} to {high[0]}]" if low and high else text


def note_of(field: FieldInfo, name: str) -> str:
    """Return a note that `config.fields` left at a setting, or an empty text."""
    extra = field.json_schema_extra
    return str(extra.get(name, "")) if isinstance(extra, dict) else ""
