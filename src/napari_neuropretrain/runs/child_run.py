"""A job in another process, as seen from here: what it says, how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from napari_neuropretrain.runs.failures import (
    EXIT_STOPPED,
    KILLED,
    Cause,
    cause_of_exit,
    explain_exit,
)
from napari_neuropretrain.runs.folder import (
    CONSOLE,
    FINAL_STATES,
    Event,
    clear_requests,
    end_pause,
    read_events,
    request_stop,
)
from napari_neuropretrain.runs.remedies import Pace, pace_of

GRACE_S = 10.0


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Parameters
    ----------
    state
        ``finished``, ``failed``, ``stopped`` or ``lost`` (ended without a word).
    sentence
        What to tell the person.
    cause
        What lies behind a bad end, if it is known.
    on_gpu
        Whether memory of a GPU was in use.
    tried
        See `remedies`.
    """

    state: str
    sentence: str
    cause: Cause = ""
    on_gpu: bool = False
    tried: Pace = ()


class ChildRun:
    """A job that runs, or ran, in another process.

    Made by `start` or `attach`. Call `poll` often, from any one thread.

    Parameters
    ----------
    folder
        The run folder.
    process
        The process, or None if it ended before we looked.
    offset
        Byte of ``events.jsonl`` from which on events belong to this run.
    """

    def __init__(
        self, folder: Path, process: psutil.Process | None, offset: int = 0
    ) -> None:
        self.folder = folder
        self._process = process
        self._offset = offset
        self._last: Event = {}
        self._memory: dict[str, Any] = {}
        self._tried: Pace = ()
        self._kill_at: float | None = None
        self._killed = False
        self._code: int | None = None

    @property
    def stopping(self) -> bool:
        """Whether `cancel` was called."""
        return self._kill_at is not None

    def alive(self) -> bool:
        """Whether the process still runs this job."""
        process = self._process
        if process is None:
            return False
        if isinstance(process, psutil.Popen):
            self._code = process.poll()
            return self._code is None
        if self._last:  # a process may run another job by now
            return False
        try:
            zombie = process.status() == psutil.STATUS_ZOMBIE
            return bool(process.is_running() and not zombie)
        except psutil.Error:
            return False

    def poll(self) -> list[Event]:
        """Return the events since the last call; kill the tree when grace is over."""
        events, self._offset = read_events(self.folder, self._offset)
        for event in events:
            if event["state"] in FINAL_STATES:
                self._last = event
            elif event["state"] == "heartbeat":
                self._memory = event.get("values", {})
            self._tried = pace_of(event) or self._tried
        if self._kill_at is not None and self.alive():
            # A job removes an old stop file when it starts: ask again.
            request_stop(self.folder)
            if time.monotonic() > self._kill_at:
                self.kill()
        return events

    def cancel(self, grace_s: float = GRACE_S) -> None:
        """Ask the job to stop; `poll` kills its process tree after `grace_s`."""
        if self._kill_at is None and self.alive():
            self._kill_at = time.monotonic() + grace_s
            request_stop(self.folder)
            end_pause(self.folder)

    def kill(self) -> None:
        """End the process and all its descendants at once."""
        if self._process is not None:
            self._killed = True
            kill_tree(self._process)

    def ending(self) -> Ending:
        """Say how the run ended; call it once `alive` is false and `poll` is empty."""
        clear_requests(self.folder)
        state, message = self._last.get("state"), self._last.get("message", "")
        if state == "stopped":
            return Ending("stopped", message or explain_exit(EXIT_STOPPED))
        if self._killed:
            return Ending("stopped", "Stopped at once; what was finished is kept.")
        if state in FINAL_STATES:
            cause = self._last.get("values", {}).get("cause", "")
            on_gpu = "gpu_mib" in self._memory
            return Ending(str(state), message, cause, on_gpu, self._tried)
        said = explain_exit(self._code or None, self._memory)
        # One that was killed could not say why.
        last = "" if self._code in KILLED else tail(self.folder / CONSOLE)
        words = f"{said}\n{last}".strip()
        cause = cause_of_exit(self._code or None, self._memory)
        return Ending("lost", words, cause, "gpu_mib" in self._memory, self._tried)


def kill_tree(process: psutil.Process) -> None:
    """End a process and all its descendants at once."""
    try:
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=5)


def tail(path: Path, lines: int = 8) -> str:
    """Return the last lines of a text file, if it is there."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])
