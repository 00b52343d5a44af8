"""Keep the best weights, and the state from which a training can go on."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor

from napari_neuropretrain.config.base import write_bytes, write_text
from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.average import AverageWeights, is_update
from napari_neuropretrain.training.cost import MeasureCost
from napari_neuropretrain.training.distributed import Processes
from napari_neuropretrain.training.module import LearningModule
from napari_neuropretrain.training.resume import State, save_state
from napari_neuropretrain.weights.model_file import tensors_to_bytes

BEST_WEIGHTS, BEST_NOTES = "best.safetensors", "best.json"


class KeepBest(lightning.Callback):
    """Write the weights of the epoch with the lowest validation loss.

    Low-rank updates are merged, so that the file fits the plain network.

    Parameters
    ----------
    folder
        Holds ``best.safetensors`` and ``best.json``; replaced atomically.
    patience
        The training ends after so many epochs without a better loss.
    leads
        Whether this process writes files.
    """

    def __init__(self, folder: Path, patience: int, leads: bool = True) -> None:
        self.folder = folder
        self.patience = patience
        self.leads = leads
        self.epoch = 0
        self.validation_loss = math.inf

    @property
    def weights(self) -> Path:
        """The file with the best weights."""
        return self.folder / BEST_WEIGHTS

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the weights if this epoch is the best so far; else lose patience."""
        module: LearningModule = pl_module
        done = module.epoch + 1
        if not module.validation_loss < self.validation_loss:
            if done - self.epoch >= self.patience:
                trainer.should_stop = True
            return
        self.epoch = done
        self.validation_loss = module.validation_loss
        if not self.leads:
            return
        write_bytes(self.weights, tensors_to_bytes(module.plan.plain_weights()))
        notes = {"epoch": self.epoch, "validation_loss": self.validation_loss}
        write_text(self.folder / BEST_NOTES, json.dumps(notes) + "\n")


class KeepState(lightning.Callback):
    """Write the state at the end of each epoch, and go on from one.

    Parameters
    ----------
    best, cost, average
        Whose notes belong to the state.
    epochs
        Of the whole training.
    start
        The state to go on from; its epoch and position are 0 where there is none.
    processes
        Each has a random state; the first one writes.
    """

    def __init__(
        self,
        best: KeepBest,
        cost: MeasureCost,
        average: AverageWeights,
        epochs: int,
        start: State,
        processes: Processes,
    ) -> None:
        self.best = best
        self.cost = cost
        self.average = average
        self.epochs = epochs
        self.start = start
        self.processes = processes
        self.finished = int(start["epoch"])

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Give optimiser, schedule and gradient scaler back their memory."""
        if "optimiser" in self.start:
            trainer.optimizers[0].load_state_dict(self.start["optimiser"])
            _schedule(trainer).load_state_dict(self.start["scheduler"])
            trainer.precision_plugin.load_state_dict(self.start["scaler"])
            for name in ("optimiser", "network", "average"):  # large, not needed again
                self.start.pop(name, None)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the state."""
        done = pl_module.epoch + 1
        finished = bool(trainer.should_stop) or done >= self.epochs
        self.finished = done
        if self.processes.leads:
            self._write(trainer, pl_module, {"epoch": done, "done": finished})

    def save_within(
        self, trainer: Any, module: LearningModule, position: int, step: int
    ) -> None:
        """Write the state in the middle of an epoch, after an update of the weights.

        Parameters
        ----------
        trainer, module
            Lightning's, and what is trained.
        position
            Volumes of this epoch that were seen.
        step
            Batches that they were.
        """
        random = self.processes.gather(module.random_state())
        if not self.processes.leads:
            return
        losses = torch.stack(module.losses).cpu()
        within = {"position": position, "step": step, "losses": losses}
        within |= {"epoch": module.epoch, "done": False, "random": random}
        self._write(trainer, module, within)

    def _write(self, trainer: Any, module: LearningModule, where: State) -> None:
        state: State = {
            "network": _on_cpu(module.network.state_dict()),
            "optimiser": trainer.optimizers[0].state_dict(),
            "scheduler": _schedule(trainer).state_dict(),
            "scaler": trainer.precision_plugin.state_dict(),
            "best": [self.best.epoch, self.best.validation_loss],
            "cost": self.cost.tally(),
            "average": self.average.state(),
        }
        save_state(self.best.folder, state | where)


class HeldReport:
    """Pass on what happens; keep the wish to stop until the state can be kept.

    Parameters
    ----------
    report
        May raise `Cancelled`.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self.request: Cancelled | None = None

    def __call__(self, progress: Progress) -> None:
        """Report; a `Cancelled` becomes the `request`."""
        try:
            self._report(progress)
        except Cancelled as request:
            self.request = request

    def ask_to_stop(self, signum: int, frame: object) -> None:
        """Handle a signal."""
        self.request = Cancelled(f"Stopped from outside (signal {signum}).")


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
    """

    def __init__(self, state: KeepState, report: HeldReport, minutes: float) -> None:
        self._state = state
        self._report = report
        self._seconds = 60 * minutes
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
        stop, due = self._agree(bool(due))
        if batch_idx + 1 == trainer.num_training_batches:
            return
        if (stop or due) and is_update(trainer, batch_idx):
            self._state.save_within(trainer, pl_module, self._position, self._step)
            self._saved = time.monotonic()
        if stop:
            raise self._report.request or Cancelled("Another process was stopped.")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Leave, if asked to; the state is kept already."""
        self._saved = time.monotonic()
        if self._agree(False)[0]:
            raise self._report.request or Cancelled("Another process was stopped.")

    def _agree(self, due: bool) -> list[bool]:
        asked = self._report.request is not None
        return self._state.processes.agree([asked, due])


def first_state(module: LearningModule) -> State:
    """Return the state of a training that has not begun."""
    weights = {
        name: tensor.clone()
        for name, tensor in _on_cpu(module.network.state_dict()).items()
    }
    best = [0, math.inf]
    return {"epoch": 0, "done": False, "network": weights, "best": best, "cost": {}}


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}


def _schedule(trainer: Any) -> Any:
    return trainer.lr_scheduler_configs[0].scheduler
