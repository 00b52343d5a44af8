"""Wait for a turn, start a job, and hand over what it says. No Qt here."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.gui.runs.process import ChildRun, Ending, Event
from napari_neuropretrain.gui.runs.run_queue import QUEUE, RunQueue, Ticket

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
    ticket
        Place in the queue, or None to begin at once.
    """

    def __init__(
        self,
        begin: Callable[[], ChildRun],
        ticket: Ticket | None = None,
        queue: RunQueue = QUEUE,
    ) -> None:
        self._begin = begin
        self._ticket = ticket
        self._queue = queue
        self._run: ChildRun | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Leave the queue, or ask the job to stop; a second call ends it at once."""
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
            while self._ticket and (blocker := self._queue.blocker(self._ticket)):
                if self._cancelled:
                    return Ending("stopped", "Taken out of the queue.")
                yield Update(f"Queued behind {blocker.title}")
                time.sleep(POLL_S)
            try:
                self._run = self._begin()
            except NeuropretrainError as error:
                return Ending("failed", str(error))
            return (yield from self._watch(self._run))
        finally:
            if self._ticket:
                self._queue.give_back(self._ticket)

    def _watch(self, run: ChildRun) -> Generator[Update, None, Ending]:
        if self._cancelled:
            run.cancel()
        seen = False
        while run.alive():
            events = tuple(run.poll())
            seen = seen or bool(events)
            state = "Running" if seen else "Starting"
            yield Update("Stopping" if run.stopping else state, events)
            time.sleep(POLL_S)
        # What was written between the last look and the end.
        yield Update("Ending", tuple(run.poll()))
        return run.ending()
