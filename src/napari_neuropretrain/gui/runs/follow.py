"""Start a job, or find it again, and hand over what it says. No Qt here."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.runs.child_run import ChildRun, Ending
from napari_neuropretrain.runs.folder import Event

POLL_S = 0.2


@dataclass(frozen=True)
class Update:
    """What changed since the last one: a state in words, and new events."""

    state: str
    events: tuple[Event, ...] = ()


class Follower:
    """One run as seen from the GUI; `updates` runs in a background thread.

    Parameters
    ----------
    begin
        Starts the run, or finds it again.
    """

    def __init__(self, begin: Callable[[], ChildRun]) -> None:
        self._begin = begin
        self._run: ChildRun | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Ask the job to stop; a second call ends it at once."""
        if self._cancelled and self._run is not None:
            self._run.kill()
        self._cancelled = True
        if self._run is not None:
            self._run.cancel()

    def updates(self) -> Generator[Update, None, Ending]:
        """Yield until the run has ended; return how.

        Closing the generator leaves the job alone: it goes on without us.
        """
        try:
            self._run = self._begin()
        except NeuropretrainError as error:
            return Ending("failed", str(error))
        return (yield from self._watch(self._run))

    def _watch(self, run: ChildRun) -> Generator[Update, None, Ending]:
        if self._cancelled:
            run.cancel()
        state = "Starting"
        while run.alive():
            events = tuple(run.poll())
            for event in events:
                state = say_state(event) or state
            yield Update("Stopping" if run.stopping else state, events)
            time.sleep(POLL_S)
        # What was written between the last look and the end.
        yield Update("Ending", tuple(run.poll()))
        return run.ending()


def say_state(event: Event) -> str:
    """Return what an event says of the state, or an empty string.

    Examples
    --------
    >>> say_state({"state": "queued", "message": "Queued behind predict in 'a'."})
    "Queued behind predict in 'a'"
    >>> say_state({"state": "step"}), say_state({"state": "heartbeat"})
    ('Running', '')
    """
    if event["state"] in ("queued", "paused"):
        return str(event.get("message", "")).rstrip(".")
    return "" if event["state"] == "heartbeat" else "Running"
