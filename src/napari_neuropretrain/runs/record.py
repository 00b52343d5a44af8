"""What is known of a run, read from its folder, again and again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs.account import Account
from napari_neuropretrain.runs.curves import Curves
from napari_neuropretrain.runs.failures import Cause, cause_of_exit, explain_exit
from napari_neuropretrain.runs.folder import (
    CONFIG,
    EVENTS,
    FINAL_STATES,
    STOP,
    Event,
    read_events,
)
from napari_neuropretrain.runs.process import started_alive
from napari_neuropretrain.runs.remedies import Pace, Remedy, pace_of, remedies

LIVE_STATES = ("queued", "running", "paused", "stopping")
TRAININGS = ("finetune", "pretrain")
"""Jobs that can end early and keep their best weights."""
_WAITS = ("queued", "paused", "running")
_LOG_LINES = 3000


@dataclass(frozen=True)
class RunRecord:
    """One run, as it is now.

    Parameters
    ----------
    folder, job
        Where it is, and what it does.
    state
        One of `LIVE_STATES`, or ``finished``, ``failed``, ``stopped``, ``lost``.
    sentence
        What it said last, or how it ended.
    cause
        What lies behind a bad end, if it is known.
    fraction
        Share that is done, or None.
    stage
        Where it is, and how long still.
    left_s
        Seconds that remain, about, or None.
    began, seconds
        When, in seconds since 1970, and for how long.
    device
        As in its settings.
    place
        Where relative paths of its settings begin.
    memory
        Values of the latest ``heartbeat``, in MiB.
    tried
        See `remedies`.
    results
        Path of each result by its kind.
    curves
        Losses, metrics, learning rate, probes.
    log
        Its latest lines.
    """

    folder: Path
    job: str = ""
    state: str = "running"
    sentence: str = ""
    cause: Cause = ""
    fraction: float | None = None
    stage: str = ""
    left_s: float | None = None
    began: float = 0.0
    seconds: float = 0.0
    device: str = ""
    place: str = ""
    memory: dict[str, Any] = field(default_factory=dict)
    tried: Pace = ()
    results: dict[str, str] = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)
    log: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it goes on, or will."""
        return self.state in LIVE_STATES

    @property
    def can_keep_best(self) -> bool:
        """Whether it may end early with the best weights so far."""
        return self.job in TRAININGS and self.state in ("running", "paused")

    def config(self) -> Config:
        """Return the settings it was started with.

        Raises
        ------
        ConfigError
            If they cannot be read, or the job is not known.
        """
        return JOBS[self.job].options.from_file(self.folder / CONFIG)

    def remedies(self, config: Config) -> list[Remedy]:
        """Return what may help after a failure with these settings."""
        return remedies(config, self.cause, "gpu_mib" in self.memory, self.tried)

    def say_memory(self) -> str:
        """Return memory now and at its peak, in words."""
        words = []
        for kind, name in (("", "rss"), ("GPU ", "gpu")):
            now, peak = (
                self.memory.get(f"{name}_mib"),
                self.memory.get(f"{name}_peak_mib"),
            )
            if now is not None and self.live:
                words.append(f"{kind}{now / 1024:.1f} GiB now")
            if peak is not None:
                words.append(f"{kind}{peak / 1024:.1f} GiB at most")
        return ", ".join(words)


class RunReader:
    """Reads what is new in a run folder; `look` returns the run as it is now.

    Parameters
    ----------
    folder
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offset = 0
        self._record = RunRecord(folder)
        self._forget()

    def _forget(self) -> None:
        self._account, self._log = Account(), list[str]()
        self._started: Event = {}
        self._last: Event = {}
        self._memory: dict[str, Any] = {}
        self._results: dict[str, str] = {}
        self._time, self._waits = 0.0, "running"
        self._tried: Pace = ()

    def look(self) -> RunRecord:
        """Return the run; the same object where nothing has changed."""
        path = self.folder / EVENTS
        if path.exists() and path.stat().st_size < self._offset:
            self._offset = 0  # somebody began the file anew
            self._forget()
        events, self._offset = read_events(self.folder, self._offset)
        for event in events:
            self._take(event)
        state = self._state()
        if events or state != self._record.state:
            self._record = self._describe(state)
        return self._record

    def _take(self, event: Event) -> None:
        state, values = event["state"], event.get("values", {})
        if state == "started":
            self._begin(event)
        elif state == "heartbeat":
            self._memory = values or self._memory  # some only look for a stop file
        elif state == "result" and "path" in values:
            self._results[str(values.get("kind", "result"))] = str(values["path"])
        if state in FINAL_STATES:
            self._last = event
        if state != "heartbeat":
            self._waits = state if state in _WAITS else "running"
        self._tried = pace_of(event) or self._tried
        self._time = float(event.get("time", self._time))
        if line := self._account.take(event):
            self._log = [*self._log[-_LOG_LINES:], line]

    def _begin(self, started: Event) -> None:
        """Follow the next run of the folder; curves go on where a training does."""
        before, curves = self._started, self._account.curves
        self._forget()
        self._started = started
        if before.get("values", {}).get("job") == started.get("values", {}).get("job"):
            self._account.curves = curves
            curves.begin_again()

    def _state(self) -> str:
        if self._last:
            return str(self._last["state"])
        if not self._started or not started_alive(self._started, self._time):
            return "lost"
        return "stopping" if (self.folder / STOP).exists() else self._waits

    def _describe(self, state: str) -> RunRecord:
        values = self._started.get("values", {})
        began = float(self._started.get("time", 0.0))
        account, last = self._account, self._last
        sentence, cause = last.get("message", ""), last.get("values", {}).get("cause")
        if state == "lost":
            sentence = explain_exit(None, self._memory)
            cause = cause_of_exit(None, self._memory)
            if self._log:
                sentence += f" The last it said: {self._log[-1]}"
        results = self._results | dict(last.get("values", {}).get("results", {}))
        return RunRecord(
            folder=self.folder,
            job=str(values.get("job", "")) or job_of(self.folder),
            state=state,
            sentence=str(sentence),
            cause=cause or "",
            fraction=account.fraction,
            stage=account.stage if not last else "",
            left_s=account.left_s if not last else None,
            began=began,
            seconds=max(self._time - began, 0.0),
            device=str(values.get("device", "")),
            place=str(values.get("cwd", "")),
            memory=dict(self._memory),
            tried=self._tried,
            results=results,
            curves=account.curves.copy(),
            log=tuple(self._log),
        )


def read_run(folder: Path) -> RunRecord:
    """Return the latest run of a folder.

    Raises
    ------
    ConfigError
        If no run was ever recorded there.
    """
    if not (folder / EVENTS).is_file():
        raise ConfigError(
            f"No run is recorded in '{folder}'. Give the output folder of a run."
        )
    return RunReader(folder).look()


def job_of(folder: Path) -> str:
    """Return the job that the settings of a run folder are of, or an empty string."""
    try:
        with (folder / CONFIG).open(encoding="utf-8") as file:
            found = re.search(r": neuropretrain ([\w-]+)", file.readline())
    except OSError:
        return ""
    return found.group(1) if found else ""
