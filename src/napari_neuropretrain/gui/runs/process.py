"""A job in a process of its own: start, follow, stop, find again. No Qt here."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psutil

from napari_neuropretrain import runs
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import ConfigError

Event: TypeAlias = dict[str, Any]

REQUEST, CONSOLE = "request.yaml", "console.log"
FINAL_STATES = ("finished", "failed", "stopped")
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
    """

    state: str
    sentence: str


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
        self._kill_at: float | None = None
        self._killed = False
        self._code: int | None = None

    @property
    def stopping(self) -> bool:
        """Whether `cancel` was called."""
        return self._kill_at is not None

    def alive(self) -> bool:
        """Whether the process still runs."""
        process = self._process
        if process is None:
            return False
        if isinstance(process, psutil.Popen):
            self._code = process.poll()
            return self._code is None
        try:
            zombie = process.status() == psutil.STATUS_ZOMBIE
            return bool(process.is_running() and not zombie)
        except psutil.Error:
            return False

    def poll(self) -> list[Event]:
        """Return the events since the last call; kill the tree when grace is over."""
        events, self._offset = runs.read_events(self.folder, self._offset)
        for event in events:
            if event["state"] in FINAL_STATES:
                self._last = event
        if self._kill_at is not None and self.alive():
            # A job removes an old stop file when it starts: ask again.
            runs.request_stop(self.folder)
            if time.monotonic() > self._kill_at:
                self.kill()
        return events

    def cancel(self, grace_s: float = GRACE_S) -> None:
        """Ask the job to stop; `poll` kills its process tree after `grace_s`."""
        if self._kill_at is None and self.alive():
            self._kill_at = time.monotonic() + grace_s
            runs.request_stop(self.folder)

    def kill(self) -> None:
        """End the process and all its descendants at once."""
        if self._process is None:
            return
        self._killed = True
        try:
            family = [*self._process.children(recursive=True), self._process]
        except psutil.NoSuchProcess:
            return
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=5)

    def ending(self) -> Ending:
        """Say how the run ended; call it once `alive` is false and `poll` is empty."""
        (self.folder / runs.STOP).unlink(missing_ok=True)
        state, message = self._last.get("state"), self._last.get("message", "")
        if state == "stopped":
            return Ending("stopped", message or runs.explain_exit(runs.EXIT_STOPPED))
        if self._killed:
            return Ending("stopped", "Stopped at once; what was finished is kept.")
        if state in FINAL_STATES:
            return Ending(state, message)
        code = self._code
        said = runs.explain_exit(code) if code else "It ended without a word."
        return Ending("lost", f"{said}\n{_tail(self.folder / CONSOLE)}".strip())


def start(job: str, config: Config, command: Sequence[str] | None = None) -> ChildRun:
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

    Raises
    ------
    ConfigError
        If a path does not exist, or the run folder cannot be written.
    """
    runs.check_inputs(config)
    folder = Path(getattr(config, "output"))  # noqa: B009 - each job's config has it
    module = [sys.executable, "-m", "napari_neuropretrain", job, "--config"]
    try:
        request = (folder / REQUEST).absolute()
        config.to_file(request)
        (folder / runs.STOP).unlink(missing_ok=True)
        events = folder / runs.EVENTS
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
        raise ConfigError(
            f"output: cannot write to '{folder}' ({error.strerror}). "
            "Give a folder you may write to."
        ) from None
    return ChildRun(folder, process, offset)


def attach(folder: Path) -> ChildRun:
    """Find the latest run of a folder again, alive or ended.

    Raises
    ------
    ConfigError
        If no run was ever recorded there.
    """
    events, _ = runs.read_events(folder)
    starts = [i for i, event in enumerate(events) if event["state"] == "started"]
    if not starts:
        raise ConfigError(
            f"No run is recorded in '{folder}'. Give the output folder of a run."
        )
    return ChildRun(
        folder, _find_process(events[starts[-1]]), _nth_line(folder, starts)
    )


def is_running(folder: Path) -> bool:
    """Whether a job runs in `folder` at the moment."""
    try:
        return attach(folder).alive()
    except (ConfigError, OSError):
        return False


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


def _nth_line(folder: Path, starts: list[int]) -> int:
    """Return the byte at which the line of the latest start begins."""
    lines = (folder / runs.EVENTS).read_bytes().splitlines(keepends=True)
    return sum(len(line) for line in lines[: starts[-1]])


def _own_group() -> dict[str, Any]:
    """Keep the child alive when napari closes, and apart from its Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _tail(path: Path, lines: int = 8) -> str:
    """Return the last lines a process printed."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])
