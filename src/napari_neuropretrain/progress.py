"""What a job says while it runs, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

KEEP_BEST = "keep_best"
"""A file of this name in a run folder asks a training to end after its step."""

State: TypeAlias = Literal[
    "started",
    "queued",
    "paused",
    "running",
    "step",
    "epoch",
    "metric",
    "warning",
    "item_done",
    "item_failed",
    "result",
    "heartbeat",
    "finished",
    "failed",
    "stopped",
]


@dataclass(frozen=True)
class Progress:
    """One thing a job has to say.

    Parameters
    ----------
    state
        What kind of event this is.
    message
        One short sentence, or an empty string.
    step, total
        Position within the current stage, counted from 0 to `total`.
    values
        Numbers and names by key, for example ``{"loss": 0.3}``. A ``result``
        event carries ``kind`` and ``path`` so that a viewer can show it.
    """

    state: State
    message: str = ""
    step: int | None = None
    total: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


Report: TypeAlias = Callable[[Progress], None]
"""Takes a `Progress`; raises `Cancelled` when the person asked to stop."""


def silent(progress: Progress) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Failure:
    """One item of a cohort that could not be processed, and why."""

    item: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What a finished job tells its caller.

    Parameters
    ----------
    message
        One sentence for the person at the screen.
    failures
        Items that were left out; a non-empty tuple means exit code 1.
    results
        Name of each result and its path.
    """

    message: str
    failures: tuple[Failure, ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)
