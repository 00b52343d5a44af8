"""How far a guided path is, as its folder tells. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.jobs import DemoConfig
from napari_neuropretrain.demo.steps import STEPS, Step
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs import read_events
from napari_neuropretrain.runs.process import is_running

SETTINGS = "guided-path.yaml"
PARTICIPANTS, EPOCHS = 20, 15
"""Enough that the planted effect is learned, and four minutes on two cores."""


@dataclass(frozen=True)
class StepState:
    """What is known of one step.

    Parameters
    ----------
    state
        ``to do``, ``running``, ``done``, or how it ended: ``failed``, ``stopped``,
        ``lost``.
    ended
        When, in seconds since 1970; 0 if it has not.
    events
        Of its latest run.
    """

    state: str
    ended: float = 0.0
    events: tuple[dict[str, Any], ...] = ()


def path_settings(folder: Path) -> DemoConfig:
    """Return the settings of a path that was begun, or those of a new one."""
    try:
        found = DemoConfig.from_file(folder / SETTINGS)
    except ConfigError:
        return DemoConfig(
            output=folder,
            participants=PARTICIPANTS,
            epochs=EPOCHS,
            workers=2,
            threads=2,
        )
    return found.replace(output=folder)


def keep_settings(config: DemoConfig) -> None:
    """Write the settings into the folder, so that the path can be gone on with."""
    write_text(config.output / SETTINGS, config.to_yaml())


def read_steps(folder: Path) -> list[StepState]:
    """Return the state of each step; one that is older than the step before is to do.

    Parameters
    ----------
    folder
        Of the path. An empty or missing one has everything to do.
    """
    states: list[StepState] = []
    before = 0.0
    for step in STEPS:
        found = _read(folder / step.folder)
        if found.state == "done" and found.ended < before:
            found = StepState("to do")
        if states and states[-1].state != "done" and found.state != "running":
            found = StepState("to do")
        before = max(before, found.ended)
        states.append(found)
    return states


def shown_first(states: list[StepState]) -> int:
    """Return which step to show: a running one, else the last that was begun.

    Examples
    --------
    >>> done, todo = StepState("done"), StepState("to do")
    >>> shown_first([done, done, todo]), shown_first([todo, todo])
    (1, 0)
    """
    begun = [i for i, one in enumerate(states) if one.state != "to do"]
    running = [i for i, one in enumerate(states) if one.state == "running"]
    return (running or begun or [0])[-1]


def results_of(events: tuple[dict[str, Any], ...]) -> dict[str, dict[str, Any]]:
    """Return the values of the first result of each kind."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        values = event.get("values", {})
        if event["state"] == "result" and values.get("path"):
            found.setdefault(str(values.get("kind", "")), values)
    return found


def run_folder(config: DemoConfig, step: Step) -> Path:
    """Return the run folder of a step."""
    return config.output / step.folder


def _read(folder: Path) -> StepState:
    events, _ = read_events(folder)
    starts = [i for i, event in enumerate(events) if event["state"] == "started"]
    if not starts:
        return StepState("to do")
    latest = tuple(events[starts[-1] :])
    if is_running(folder):
        return StepState("running", 0.0, latest)
    last = next((one for one in reversed(latest) if one["state"] != "heartbeat"), {})
    state, ended = str(last.get("state")), float(last.get("time", 0.0))
    if state == "finished":
        whole = not last.get("values", {}).get("exit_code")
        return StepState("done" if whole else "failed", ended, latest)
    return StepState(state if state in ("failed", "stopped") else "lost", ended, latest)
