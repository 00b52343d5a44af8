"""Why a job cannot start, by field. No Qt here."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs.folder import check_inputs, output_of

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


def what_is_not_there(config: Config) -> str:
    """Return which path of the settings is not there, or cannot be written.

    Empty where all is well. Nothing is created.
    """
    try:
        check_inputs(config)
    except ConfigError as error:
        return str(error)
    folder = output_of(config)
    above: Path = next(
        (one for one in (folder, *folder.parents) if one.exists()), folder
    )
    if not above.is_dir():
        return f"output: '{above}' is a file. Give a folder you may write to."
    return ""
