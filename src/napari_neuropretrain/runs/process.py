"""A job in a process of its own: start it, or find it again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs.child_run import ChildRun
from napari_neuropretrain.runs.device_queue import process_alive
from napari_neuropretrain.runs.folder import (
    CONSOLE,
    EVENTS,
    FINAL_STATES,
    REQUEST,
    Event,
    cannot_write,
    check_inputs,
    clear_requests,
    output_of,
    read_event,
    read_events,
)

SILENCE_S = 60.0
"""A run of another machine without a heartbeat for so long is lost."""
_LOOK_S = 0.5
NICENESS = 5
"""So that the viewer, and what else a person does, goes first."""

_started: list[psutil.Popen] = []
"""Children that go on though nobody here follows them; asked now and then whether
they have ended, or they would stay in the system's list of processes."""


def start(
    job: str,
    config: Config,
    command: Sequence[str] | None = None,
    queued: bool = False,
) -> ChildRun:
    """Start a job in a process group of its own.

    Parameters
    ----------
    job
        Name of the job.
    config
        Its settings; `config.output` is the run folder.
    command
        What to run in place of the package's own command line; the path of the
        settings file is appended to it.
    queued
        Whether it waits until its device is free.

    Raises
    ------
    ConfigError
        If a path does not exist, or the run folder cannot be written, or is in use.
    """
    check_inputs(config)
    folder = output_of(config)
    check_free(folder)
    module = [sys.executable, "-m", "napari_neuropretrain", job]
    module += [*(["--queue"] if queued else []), "--config"]
    try:
        request = (folder / REQUEST).absolute()
        config.to_file(request)
        clear_requests(folder)
        events = folder / EVENTS
        offset = events.stat().st_size if events.exists() else 0
        with (folder / CONSOLE).open("wb") as console:
            process = psutil.Popen(
                [*(command or module), str(request)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                **_own_group(),
            )
    except OSError as error:
        raise cannot_write(folder, error) from None
    _step_back(process)
    _started[:] = [one for one in _started if one.poll() is None] + [process]
    return ChildRun(folder, process, offset)


def attach(folder: Path) -> ChildRun:
    """Find the latest run of a folder again, alive or ended.

    Raises
    ------
    ConfigError
        If no run was ever recorded there.
    """
    latest = _latest_run(folder)
    if not latest:
        raise ConfigError(
            f"No run is recorded in '{folder}'. Give the output folder of a run."
        )
    process = None if _ended(latest) else _find_process(latest[0])
    return ChildRun(folder, process, _latest_start(folder))


def is_running(folder: Path) -> bool:
    """Whether a job runs in `folder` at the moment, here or on another machine."""
    return _running(folder) is not None


def check_free(folder: Path, patient: bool = False) -> None:
    """Check that no other process runs a job in `folder`; two would mix their files.

    Parameters
    ----------
    folder
        The run folder.
    patient
        Whether to wait for a sign of a run of another machine, which may have died
        a moment ago: until its next heartbeat, or `SILENCE_S`.

    Raises
    ------
    ConfigError
        If one does, with its number and machine.
    """
    values = (_running(folder) or {}).get("values", {})
    host = values.get("host", platform.node())
    where = "" if host == platform.node() else f" of {host}"
    if not values or (not where and values.get("pid") == os.getpid()):
        return
    if not (where and patient and _falls_silent(folder)):
        raise ConfigError(
            f"output: a run is going on in '{folder}' (process {values.get('pid')}"
            f"{where}). Wait for it, cancel it with 'neuropretrain runs cancel "
            f"{folder}', or give another folder."
        )


def started_alive(started: Event, last_time: float) -> bool:
    """Whether the process of a ``started`` event is still there.

    Parameters
    ----------
    started
        Says process, machine, and when it began.
    last_time
        Of the latest event; all that is known of a process of another machine.
    """
    values = started.get("values", {})
    if values.get("host", platform.node()) != platform.node():
        return time.time() - last_time < SILENCE_S
    if "created" in values:
        return process_alive(int(values["pid"]), float(values["created"]))
    return _find_process(started) is not None


def _falls_silent(folder: Path) -> bool:
    """Wait until a run of another machine is heard again, or is lost."""
    size = (folder / EVENTS).stat().st_size
    while (folder / EVENTS).stat().st_size == size:
        if not is_running(folder):
            return True
        time.sleep(_LOOK_S)
    return False


def _running(folder: Path) -> Event | None:
    """Return the ``started`` event of the job that runs in `folder`, or None."""
    try:
        latest = _latest_run(folder)
    except OSError:
        return None
    if not latest or _ended(latest):
        return None
    alive = started_alive(latest[0], float(latest[-1]["time"]))
    return latest[0] if alive else None


def _find_process(started: Event) -> psutil.Process | None:
    """Return the process of a ``started`` event, unless its number was given away."""
    try:
        process = psutil.Process(int(started["values"]["pid"]))
        # The process must be older than its own first event.
        if process.create_time() <= float(started["time"]) + 1.0:
            return process
    except (psutil.Error, KeyError, ValueError):
        pass
    return None


def _latest_run(folder: Path) -> list[Event]:
    """Return the events of the latest run of a folder, its ``started`` first."""
    events, _ = read_events(folder)
    starts = [i for i, event in enumerate(events) if event["state"] == "started"]
    return events[starts[-1] :] if starts else []


def _ended(run: Sequence[Event]) -> bool:
    return any(event["state"] in FINAL_STATES for event in run)


def _latest_start(folder: Path) -> int:
    """Return the byte at which the line of the latest start begins."""
    found = place = 0
    for line in (folder / EVENTS).read_bytes().splitlines(keepends=True):
        if (event := read_event(line)) and event["state"] == "started":
            found = place
        place += len(line)
    return found


def _own_group() -> dict[str, Any]:
    """Keep the child alive when napari closes, and apart from its Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _step_back(process: psutil.Popen) -> None:
    """Let the viewer go first where both want the processor."""
    try:
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(max(NICENESS, process.nice()))
            if sys.platform == "linux":
                # Where the kernel shares by session, only this counts between them.
                group = Path(f"/proc/{process.pid}/autogroup")
                group.write_text(str(NICENESS), encoding="ascii")
    except (psutil.Error, OSError):  # it has ended already, or there are no groups
        return
