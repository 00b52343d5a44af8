"""``neuropretrain list``: what can be named in a configuration."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from napari_neuropretrain.config.catalog import CATALOGS

DEVICES = "devices"


def run_list(arguments: Sequence[str]) -> int:
    """Print the catalogs, as text or JSON; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="neuropretrain list",
        description="List what can be named in a configuration.",
        allow_abbrev=False,
    )
    kinds = [*CATALOGS, DEVICES]
    parser.add_argument("kind", nargs="?", choices=kinds, help="one kind; all if none")
    parser.add_argument("--json", action="store_true", help="print JSON")
    try:
        given = parser.parse_args(list(arguments))
    except SystemExit as request:
        return int(request.code or 0)
    chosen = [given.kind] if given.kind else kinds
    found = {kind: _entries(kind) for kind in chosen}
    if given.json:
        print(json.dumps(found[given.kind] if given.kind else found, indent=2))
    else:
        print("\n\n".join(_as_text(kind, rows) for kind, rows in found.items()))
    return 0


def _entries(kind: str) -> list[dict[str, Any]]:
    if kind == DEVICES:
        from napari_neuropretrain.cli.doctor import list_devices

        return list_devices()
    return [
        {"name": entry.name, "title": entry.title, **entry.facts}
        for entry in CATALOGS[kind]
    ]


def _as_text(kind: str, rows: list[dict[str, Any]]) -> str:
    lines = [kind]
    for row in rows:
        facts = [f"{v:,} {k}" for k, v in row.items() if k not in ("name", "title")]
        extra = f" [{', '.join(facts)}]" if facts else ""
        lines.append(f"  {row['name']:<18}{row['title']}{extra}")
    return "\n".join(lines if rows else [kind, "  none yet"])
