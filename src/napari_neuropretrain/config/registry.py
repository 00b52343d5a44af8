"""Named parts that are imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class Entry:
    """One part of a catalog.

    Parameters
    ----------
    name
        What users type.
    title
        One line for people.
    options
        Settings class of this part.
    target
        ``"module:attribute"``, imported by `load` and not before.
    facts
        What listings show besides, such as the parameter count.
    """

    name: str
    title: str
    options: type[Config]
    target: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Any:
        """Import the target and return it."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry:
    """Entries of one kind by name, in the order they were added."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(
        self,
        name: str,
        title: str,
        options: type[Config],
        target: str,
        **facts: Any,
    ) -> Entry:
        """Add an entry; a name that is taken is an error showing both owners."""
        if name in self._entries:
            raise ConfigError(
                f"The {self.kind} '{name}' exists already: "
                f"{self._entries[name].target}; not added: {target}."
            )
        entry = Entry(name, title, options, target, facts)
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise unknown_name(self.kind, name, self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}: {', '.join(self._entries)})"
