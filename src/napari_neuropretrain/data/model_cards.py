"""Find model files in folders by the cards beside them; nothing heavy is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FORMAT = "napari-neuropretrain model"
WEIGHTS = ".safetensors"
DEEPEST = 4
_PASSED_OVER = ("checkpoints", "baselines", "preprocessed")


def find_models(path: Path) -> list[Path]:
    """Return the weights of every model at or below a path, sorted.

    Parameters
    ----------
    path
        A ``.safetensors`` file, a run folder, which counts as one model, or a folder
        of those, at most `DEEPEST` folders deep.

    Returns
    -------
    list of Path
        Files with a card beside them. Empty if there is none.
    """
    lone = path / f"model{WEIGHTS}" if path.is_dir() else path
    if lone.is_file():
        return [lone] if lone.suffix == WEIGHTS and read_notes(lone) else []
    return [one for one in sorted(_weights_below(path, DEEPEST)) if read_notes(one)]


def read_notes(weights: Path) -> dict[str, Any]:
    """Return the card beside a model's weights as it stands there; empty if none.

    It is not validated: use `weights.model_file` to apply the model.
    """
    try:
        notes = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = isinstance(notes, dict) and notes.get("format") == FORMAT
    return notes if known else {}


def name_models(paths: Iterable[Path]) -> dict[Path, str]:
    """Give each model the shortest name that tells it from the others.

    A model of a run folder is named after the folder.

    Examples
    --------
    >>> paths = [Path("a/ad/model.safetensors"), Path("a/age.safetensors")]
    >>> list(name_models(paths).values())
    ['ad', 'age']
    >>> paths = [Path("x/ad/model.safetensors"), Path("y/ad/model.safetensors")]
    >>> list(name_models(paths).values())
    ['x/ad', 'y/ad']
    """
    parts = {path: _parts(path) for path in paths}
    names: dict[Path, str] = {}
    for path, own in parts.items():
        others = [one for other, one in parts.items() if other != path]
        for length in range(1, len(own) + 1):
            tail = own[-length:]
            if all(other[-length:] != tail for other in others):
                break
        names[path] = "/".join(tail)
    return names


def _parts(path: Path) -> tuple[str, ...]:
    whole = path.parent if path.stem == "model" else path.with_suffix("")
    return tuple(part for part in whole.parts if part not in ("/", "."))


def _weights_below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        members = sorted(folder.iterdir())
    except OSError:
        return
    for member in members:
        if member.name.startswith(".") or member.name in _PASSED_OVER:
            continue
        if member.is_file() and member.suffix == WEIGHTS:
            yield member
        elif member.is_dir() and depth > 0:
            yield from _weights_below(member, depth - 1)
