"""What a setting is called, means and is by default, on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import annotated_types as bounds
from pydantic.fields import FieldInfo

from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.contract import name_shape
from napari_neuropretrain.errors import did_you_mean


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


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def say_wrong_value(message: str) -> str:
    r"""Turn the parser's words about a value of the wrong type into ours.

    Examples
    --------
    >>> say_wrong_value(
    ...     'Parser key "batch_size":\n  Expected a <class \'int\'>. Got value: many'
    ... )
    "--batch-size: must be a whole number (given: 'many')."
    >>> say_wrong_value("something else")
    ''
    """
    pattern = r'Parser key "([\w.]+)":\s+Expected an? (.+)\. Got value: (.*)'
    if not (found := re.fullmatch(pattern, message.strip(), re.DOTALL)):
        return ""
    name, kind, value = found.groups()
    if choices := re.fullmatch(r"typing\.Literal\[(.*)\]", kind):
        kind = "one of " + choices[1].replace("'", "")
    elif plain := re.fullmatch(r"<class '(\w+)'>", kind):
        kind = _KINDS.get(plain[1], plain[1])
    return f"{flag_of(name)}: must be {kind} (given: '{value}')."


def say_unknown_flag(message: str, flags: Sequence[str]) -> str:
    """Turn the parser's words about an unknown flag into ours, with the nearest one.

    Examples
    --------
    >>> say_unknown_flag("unrecognized arguments: --epoch 3", ["--epochs", "--ema"])
    "There is no '--epoch'. Did you mean '--epochs'?"
    """
    start = "unrecognized arguments: "
    if not message.startswith(start):
        return ""
    given = message.removeprefix(start).split()
    wrong = next((one for one in given if one.startswith("-")), given[0])
    return f"There is no '{wrong}'.{did_you_mean(wrong.partition('=')[0], flags, 0.7)}"
