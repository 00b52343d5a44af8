"""Keep the best weights, and the state from which a training can go on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor

from napari_neuropretrain.config.base import write_bytes, write_text
from napari_neuropretrain.training.average import AverageWeights
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
