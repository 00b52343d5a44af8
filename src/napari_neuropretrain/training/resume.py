"""Interrupted trainings go on: what is kept in a run folder's ``checkpoints/``.

``training.json`` holds the settings, and ``state.pt`` everything else as of the last
checkpoint; ``state.older.pt`` is the one before, for the case that the newest one is
damaged. What is random follows from seed and epoch; within an epoch, the states of
the generators are kept.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch

from napari_neuropretrain.config.base import write_stream, write_text
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.memory import Pace

STATE, OLDER, NOTES = "state.pt", "state.older.pt", "training.json"
NEXT = "state.next.pt"
_SHOWN = 5

State: TypeAlias = dict[str, Any]
"""``epoch`` (finished ones), ``done``, ``network``, ``optimiser``, ``scheduler``,
``scaler``, ``best``, ``cost`` and ``average``; within an epoch also ``position``
(volumes of its order that were seen), ``step``, ``losses`` and ``random`` (of each
process): tensors, numbers and words in dicts and lists."""


def save_state(folder: Path, state: State) -> Path:
    """Write the state, whole or not at all; the one before is kept, too."""
    newest, next_one = folder / STATE, folder / NEXT
    # Straight to the disk: in memory it would be there twice.
    write_stream(next_one, partial(torch.save, state))
    if newest.exists():
        newest.replace(folder / OLDER)
    next_one.replace(newest)
    return newest


def load_state(folder: Path, report: Report) -> State | None:
    """Return the newest state that can be read, on the CPU; None if there is none."""
    for name in (STATE, OLDER):
        path = folder / name
        if not path.exists():
            continue
        try:
            # Only tensors and plain values: the file may come from anywhere.
            state = torch.load(path, map_location="cpu", weights_only=True)
            return dict(state)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.PickleError):
            report(Progress("warning", f"'{path}' is damaged and is left aside."))
    return None


def check_settings(
    folder: Path, settings: Mapping[str, Any], overwrite: bool = False
) -> None:
    """Refuse a folder that holds a training with other settings.

    Parameters
    ----------
    folder
        ``checkpoints/`` of a run folder.
    settings
        By name, as JSON values; names that only the folder knows do not count.
    overwrite
        Then nothing is refused.

    Raises
    ------
    ConfigError
        If a setting differs; says which.
    """
    if overwrite or not has_state(folder):
        return
    before = dict(_notes(folder).get("settings", {}))
    # Through JSON, where a tuple becomes a list.
    now = dict(json.loads(json.dumps(dict(settings))))
    steps = ("batch_size", "accumulate")
    if {*steps} <= before.keys() & now.keys():
        paces = [Pace(*(one[name] for name in steps)) for one in (before, now)]
        if _learns_alike(*paces):
            now |= {name: before[name] for name in steps}
    differing = [
        f"{name} was {json.dumps(before.get(name))}, now {json.dumps(value)}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    if differing:
        more = ", …" if len(differing) > _SHOWN else ""
        raise ConfigError(
            f"output: '{folder.parent}' holds a training with other settings: "
            f"{'; '.join(differing[:_SHOWN])}{more}. Give the settings of before to go "
            "on with it, another output, or overwrite: true to begin anew."
        )


def open_training(
    folder: Path, settings: Mapping[str, Any], pace: Pace, overwrite: bool = False
) -> Pace:
    """Prepare a folder: go on with what it holds, or begin anew.

    Returns
    -------
    Pace
        The given one, or the one that the memory allowed when it was interrupted:
        the one with the smaller batch.

    Raises
    ------
    ConfigError
        If it holds a training with other settings, and `overwrite` is off.
    """
    check_settings(folder, settings, overwrite)
    for rest in (*folder.glob(f".{NEXT}.*"), folder / NEXT):  # of a killed process
        rest.unlink(missing_ok=True)
    if has_state(folder) and not overwrite:
        kept = Pace(*_notes(folder).get("pace", [pace.batch_size, pace.accumulate]))
        if pace.batch_size < kept.batch_size:
            note_pace(folder, pace)
            return pace
        return kept
    for name in (STATE, OLDER, NOTES):
        (folder / name).unlink(missing_ok=True)
    notes = {"settings": dict(settings)}
    _write_notes(folder, notes | {"pace": [pace.batch_size, pace.accumulate]})
    return pace


def note_pace(folder: Path, pace: Pace) -> None:
    """Remember which batch size the memory allows."""
    _write_notes(folder, _notes(folder) | {"pace": [pace.batch_size, pace.accumulate]})


def has_state(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    return (folder / STATE).exists() or (folder / OLDER).exists()


def _learns_alike(before: Pace, now: Pace) -> bool:
    """Whether an update sees as many volumes, or as many as halving makes of them.

    Half of an odd batch leaves one volume out.
    """
    while before.volumes != now.volumes and before.batch_size > now.batch_size:
        before = before.halved()
    return before.volumes == now.volumes


def _notes(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / NOTES).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _write_notes(folder: Path, notes: Mapping[str, Any]) -> None:
    write_text(folder / NOTES, json.dumps(notes, indent=2, ensure_ascii=False) + "\n")
