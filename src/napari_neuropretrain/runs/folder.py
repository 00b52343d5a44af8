"""What is in a run folder, and how a run is asked for something.

A run folder holds ``config.yaml`` (the resolved settings), ``events.jsonl`` (one
JSON object a line), ``run.log``, and the job's results. A file named ``stop``,
``pause`` or ``keep_best`` in it asks the job to leave, to rest, or to end the training
and keep the best weights. Files work alike on every system, and across machines that
share a disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.progress import KEEP_BEST

CONFIG, EVENTS, LOG = "config.yaml", "events.jsonl", "run.log"
REQUEST, CONSOLE = "request.yaml", "console.log"
STOP, PAUSE = "stop", "pause"
FINAL_STATES = ("finished", "failed", "stopped")

Event: TypeAlias = dict[str, Any]


def read_events(folder: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Read whole lines of ``events.jsonl`` from byte `offset` on.

    Returns
    -------
    events
        The events after `offset`; lines that were torn are left out.
    offset
        Where to go on next time; a line still being written is left for then.
    """
    path = folder / EVENTS
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    events = [event for line in whole.splitlines() if (event := read_event(line))]
    return events, offset + len(whole)


def read_event(line: bytes) -> Event | None:
    """Return the event of a line; None for one that a power cut or a full disk tore.

    Examples
    --------
    >>> read_event(b'{"state": "started"}'), read_event(b'{"state": "sta')
    ({'state': 'started'}, None)
    """
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "state" in event else None


def request_stop(folder: Path) -> None:
    """Ask the job that runs in `folder` to stop."""
    (folder / STOP).touch()


def request_pause(folder: Path) -> None:
    """Ask the job to rest where it is; it keeps its memory."""
    (folder / PAUSE).touch()


def end_pause(folder: Path) -> None:
    """Let a job that rests go on."""
    (folder / PAUSE).unlink(missing_ok=True)


def request_best(folder: Path) -> None:
    """Ask a training to end after this step, with the best weights so far."""
    (folder / KEEP_BEST).touch()
    end_pause(folder)


def clear_requests(folder: Path) -> None:
    """Forget what an earlier run was asked for."""
    for name in (STOP, PAUSE, KEEP_BEST):
        (folder / name).unlink(missing_ok=True)


def output_of(config: Config) -> Path:
    """Return the run folder of a job's settings."""
    return Path(getattr(config, "output"))  # noqa: B009 - each job's config has it


def check_inputs(config: Config) -> None:
    """Check that each path that must exist does.

    Raises
    ------
    ConfigError
        If one does not.
    """
    for name, field in type(config).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("path") == "input":
            path = Path(getattr(config, name))
            if path != NOTHING and not path.exists():
                raise ConfigError(
                    f"{name}: nothing at '{path}'. Give the path of an existing "
                    "file or folder."
                )


def cannot_write(folder: Path, error: OSError) -> ConfigError:
    """Return the error of a run folder that cannot be written."""
    return ConfigError(
        f"output: cannot write to '{folder}' ({error.strerror}). "
        "Give a folder you may write to."
    )
