"""The command line that does the same as a form."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

from pydantic.fields import FieldInfo

from napari_neuropretrain.config.base import Config


def command_line(job: str, config: Config) -> str:
    """Return the shell command for `job`, naming only what differs from the default.

    Examples
    --------
    >>> from napari_neuropretrain.config.jobs import JOBS
    >>> config = JOBS["preprocess"].options(input="my scans", output="out", shape=64)
    >>> command_line("preprocess", config)
    "neuropretrain preprocess --input 'my scans' --output out --shape 64"
    """
    words = ["neuropretrain", job]
    given = config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        if not _is_default(field, getattr(config, name)):
            words += _flag(name, given[name])
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return shlex.join(words)


def _is_default(field: FieldInfo, value: object) -> bool:
    if field.is_required():
        return False
    default = field.get_default(call_default_factory=True, validated_data={})
    # A catalog choice is declared by its name and held as a Choice.
    return default == value or (str(value) == default and not _options(value))


def _options(choice: Any) -> dict[str, Any]:
    options = getattr(choice, "options", None)
    return {} if options is None else options.model_dump(exclude_defaults=True)


def _flag(name: str, value: Any) -> list[str]:
    """Write one setting as command line words."""
    flag = name.replace("_", "-")
    if isinstance(value, bool | dict):
        return [f"--{flag}", json.dumps(value)]
    return [f"--{flag}", str(value)]
