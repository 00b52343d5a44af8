"""The base of every settings class."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_neuropretrain.errors import ConfigError


class Config(BaseModel):
    """Frozen settings that refuse unknown names.

    The string under each field is its help, on the command line and in the form.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        # Validators are built on first use: 0.1 s less at each start.
        defer_build=True,
        use_attribute_docstrings=True,
        validate_default=True,
        protected_namespaces=(),
    )

    @classmethod
    def parse(cls, values: dict[str, Any], source: str = "the settings") -> Self:
        """Validate `values`.

        Raises
        ------
        ConfigError
            If a name is unknown or a value is not allowed; one line for each.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, source)) from None

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """Read settings from a YAML file.

        Raises
        ------
        ConfigError
            If the file is missing, is not YAML, or holds a wrong setting.
        """
        return cls.parse(read_yaml(Path(path)), source=f"'{path}'")

    def to_file(self, path: Path | str) -> None:
        """Write the settings as YAML, atomically."""
        write_text(Path(path), self.to_yaml())

    def to_yaml(self) -> str:
        """Return the settings as YAML text."""
        dumped = self.model_dump(mode="json")
        return str(yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True))

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return self.parse(self.model_dump() | changes)


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Rewrite a pydantic error: what was given, what is allowed."""
    lines = [f"Wrong setting in {source}:"]
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"]) or "(whole)"
        if item["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            lines.append(f"  {name}: unknown setting. Known here: {known}.")
        elif item["type"] == "missing":
            lines.append(f"  {name}: required, but not given.")
        elif item["type"] == "string_pattern_mismatch" and name in model.model_fields:
            allowed = (model.model_fields[name].description or "").rstrip(".")
            lines.append(f"  {name}: allowed: {allowed} (given: {item['input']!r}).")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"  {name}: {message} (given: {item['input']!r}).")
    return "\n".join(lines)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; `ConfigError` says what is wrong with it."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"No settings file at '{path}'. Give the path of a YAML file."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"Cannot read '{path}' as YAML: {error}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"'{path}' must hold 'name: value' lines, not {type(loaded).__name__}."
        )
    return loaded


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` whole or not at all (temporary file, fsync, rename)."""
    write_stream(path, lambda stream: stream.write(data))


def write_stream(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write whole or not at all what `write` puts into a stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
