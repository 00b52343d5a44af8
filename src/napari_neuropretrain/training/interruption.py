"""A training is asked to leave: as soon as it can, and so that it can go on."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning

from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.average import is_update
from napari_neuropretrain.training.checkpoints import KeepState


class HeldReport:
    """Pass on what happens; keep the wish to stop until the state can be kept.

    Parameters
    ----------
    report
        May raise `Cancelled`.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._rested_s = 0.0
        self.request: Cancelled | None = None

    def __call__(self, progress: Progress) -> None:
        """Report; a `Cancelled` becomes the `request`. It may rest here for long."""
        began = time.monotonic()
        try:
            self._report(progress)
        except Cancelled as request:
            self.request = request
        self._rested_s += time.monotonic() - began

    def take_rest(self) -> float:
        """Return the seconds that reports took since the last call: pauses, mostly."""
        rested, self._rested_s = self._rested_s, 0.0
        return rested

    def ask_to_stop(self, signum: int, frame: object) -> None:
        """Handle a signal."""
        self.request = Cancelled(f"Stopped from outside (signal {signum}).")


class EnoughTrained(Exception):
    """The person asked to end the training and to keep the best weights."""


class KeepWithin(lightning.Callback):
    """Write the state every so many minutes, and before the training is stopped.

    The processes decide together after each step: all save, and all leave.

    Parameters
    ----------
    state
        Writes it.
    report
        Holds the wish to stop.
    minutes
        Between two states; 0: only at the end of epochs, and when stopped.
    wish
        A file that, once it is there, ends the training with the best weights.
    """

    def __init__(
        self, state: KeepState, report: HeldReport, minutes: float, wish: Path
    ) -> None:
        self._state = state
        self._report = report
        self._seconds = 60 * minutes
        self._wish, self._told = wish, False
        self._saved = time.monotonic()
        self._position = self._step = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Let SIGTERM be a wish to stop; Lightning puts the handler of before back.

        Its own handler talks to the other processes at once, which may be in the
        middle of talking about gradients: then all wait for ever.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._report.ask_to_stop)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin at the position that the epoch begins at."""
        start = self._state.start if pl_module.losses else {}
        self._position, self._step = start.get("position", 0), start.get("step", 0)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save or leave, if it is time; the end of an epoch sees to itself."""
        self._position += pl_module.shares[batch_idx].whole
        self._step += 1
        due = self._seconds and time.monotonic() - self._saved >= self._seconds
        stop, due, enough = self._agree(bool(due))
        self._state.cost.leave_out(self._report.take_rest())
        if batch_idx + 1 == trainer.num_training_batches:
            return
        if (stop or due or enough) and is_update(trainer, batch_idx):
            self._state.save_within(trainer, pl_module, self._position, self._step)
            self._saved = time.monotonic()
        self._leave(stop, enough, pl_module.epoch + 1)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Leave, if asked to; the state is kept already."""
        self._saved = time.monotonic()
        stop, _, enough = self._agree(False)
        self._report.take_rest()  # the clock of the epoch has stopped before
        last = trainer.should_stop or pl_module.epoch + 1 >= self._state.epochs
        self._leave(stop, enough and not last, pl_module.epoch + 1)

    def _leave(self, stop: bool, enough: bool, epoch: int) -> None:
        if stop:
            raise self._report.request or Cancelled("Another process was stopped.")
        if enough:
            best = self._state.best.epoch
            message = f"Ended on request in epoch {epoch}; epoch {best} is kept."
            raise EnoughTrained(message)

    def _agree(self, due: bool) -> list[bool]:
        asked = self._report.request is not None
        return self._state.processes.agree([asked, due, self._is_enough()])

    def _is_enough(self) -> bool:
        """Whether to end with the best weights; before the first epoch are none."""
        if not (self._state.processes.leads and self._wish.exists()):
            return False
        if not self._state.best.epoch and not self._told:
            self._told = True
            message = "No epoch is judged yet: the training ends after the first one."
            self._report(Progress("warning", message))
        return bool(self._state.best.epoch)
