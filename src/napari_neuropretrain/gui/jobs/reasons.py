"""Why a job cannot start, by field. No Qt here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import NOTHING

_NAMED = re.compile(r"^\s*(?:--)?([a-z][a-z_-]*)(?:\.[\w.]+)?: (.+)$")


def by_field(text: str, fields: Collection[str]) -> dict[str, str]:
    r"""Return what is said of each field in lines such as ``epochs: too many``.

    Examples
    --------
    >>> by_field("epochs: too many\nbackbone.depth: odd", ("epochs", "backbone"))
    {'epochs': 'too many', 'backbone': 'odd'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _NAMED.match(line)
        if match and (name := match.group(1).replace("-", "_")) in fields:
            said = match.group(2)
            found[name] = f"{found[name]} {said}" if name in found else said
    return found


def what_is_not_there(options: type[Config], values: Mapping[str, Any]) -> list[str]:
    """Return which paths are not there, or cannot be written; nothing is created.

    Parameters
    ----------
    options
        Settings class of the form.
    values
        What is filled in, by field name.
    """
    said = []
    for name, field in options.model_fields.items():
        extra, value = field.json_schema_extra, values.get(name)
        kind = extra.get("path") if isinstance(extra, dict) else None
        if not isinstance(value, Path) or value == NOTHING:
            continue
        if kind == "input" and not value.exists():
            words = "Give the path of an existing file or folder."
            said.append(f"{name}: nothing at '{value}'. {words}")
        elif kind == "output" and (file := _file_above(value)) is not None:
            said.append(f"{name}: '{file}' is a file. Give a folder.")
    return said


def _file_above(folder: Path) -> Path | None:
    """Return what is there of a path, if it is no folder."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), None)
    return there if there is not None and not there.is_dir() else None
