"""Pause, resume, end and cancel a run, whoever started it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs.child_run import GRACE_S
from napari_neuropretrain.runs.folder import (
    end_pause,
    output_of,
    request_best,
    request_pause,
)
from napari_neuropretrain.runs.process import attach, start
from napari_neuropretrain.runs.record import RunRecord, read_run

_LOOK_S = 0.2


def pause_run(folder: Path) -> str:
    """Let a run rest where it next reports; it keeps its memory. Say what happens.

    Raises
    ------
    ConfigError
        If it does not run.
    """
    _live(folder)
    request_pause(folder)
    return "It pauses at its next step, and keeps its memory."


def resume_run(folder: Path) -> str:
    """Let a paused run go on, or start an ended one again in its folder.

    Raises
    ------
    ConfigError
        If it runs already, is finished, or its settings cannot be read.
    """
    record = read_run(folder)
    if record.live:
        end_pause(folder)
        return "It goes on." if record.state == "paused" else "It was not paused."
    if record.state == "finished":
        raise ConfigError(
            f"The run in '{folder}' is finished. Run it again with other settings, or "
            "into another output."
        )
    config = settings_for(record)
    start(record.job, config, queued=True)
    return "Started again: it goes on at the last checkpoint, or with what is missing."


def keep_best(folder: Path) -> str:
    """Let a training end after its step, with the best weights so far.

    Raises
    ------
    ConfigError
        If it is no training, or does not run.
    """
    record = _live(folder)
    if not record.can_keep_best:
        raise ConfigError(
            f"The run in '{folder}' ({record.job}, {record.state}) has no best weights "
            "to keep. Cancel it instead."
        )
    request_best(folder)
    return "It ends after this step; the best weights become the model."


def cancel_run(folder: Path, grace_s: float = GRACE_S) -> str:
    """Stop a run, and end its process where it does not leave by itself.

    Raises
    ------
    ConfigError
        If it does not run.
    """
    _live(folder)
    run = attach(folder)
    run.cancel(grace_s)
    while run.alive():
        run.poll()
        time.sleep(_LOOK_S)
    run.poll()
    return run.ending().sentence


def settings_for(record: RunRecord) -> Config:
    """Return the settings to start a run again with, in the folder where it is now.

    Raises
    ------
    ConfigError
        If they cannot be read.
    """
    config = record.config()
    place, changes = Path(record.place), dict[str, Any]()
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Path) and value != NOTHING and not value.is_absolute():
            changes[name] = place / value
    if output_of(config).absolute() != record.folder.absolute():
        changes["output"] = record.folder  # it was moved
    if getattr(config, "overwrite", False):
        changes["overwrite"] = False
    return config.replace(**changes)


def _live(folder: Path) -> RunRecord:
    record = read_run(folder)
    if not record.live:
        raise ConfigError(
            f"The run in '{folder}' does not go on: it is {record.state}."
        )
    return record
