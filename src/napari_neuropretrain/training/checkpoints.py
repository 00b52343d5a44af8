"""Keep the best weights, and the state from which a training can go on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
from torch import Tensor

from napari_neuropretrain.config.base import write_bytes, write_text
from napari_neuropretrain.training.cost import MeasureCost
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
    """

    def __init__(self, folder: Path, patience: int) -> None:
        self.folder = folder
        self.patience = patience
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
        write_bytes(self.weights, tensors_to_bytes(module.plan.plain_weights()))
        notes = {"epoch": self.epoch, "validation_loss": self.validation_loss}
        write_text(self.folder / BEST_NOTES, json.dumps(notes) + "\n")


class KeepState(lightning.Callback):
    """Write the state at the end of each epoch, and go on from one.

    Parameters
    ----------
    best, cost
        Whose notes belong to the state.
    epochs
        Of the whole training.
    start
        The state to go on from; its epoch is 0 where there is none.
    """

    def __init__(
        self, best: KeepBest, cost: MeasureCost, epochs: int, start: State
    ) -> None:
        self.best = best
        self.cost = cost
        self.epochs = epochs
        self.start = start
        self.finished = int(start["epoch"])

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Give optimiser, schedule and gradient scaler back their memory."""
        if self.start["epoch"]:
            trainer.optimizers[0].load_state_dict(self.start["optimiser"])
            _schedule(trainer).load_state_dict(self.start["scheduler"])
            trainer.precision_plugin.load_state_dict(self.start["scaler"])
            for name in ("optimiser", "network"):  # large, and no longer needed
                self.start.pop(name, None)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the state."""
        module: LearningModule = pl_module
        done = module.epoch + 1
        state: State = {
            "epoch": done,
            "done": bool(trainer.should_stop) or done >= self.epochs,
            "network": _on_cpu(module.network.state_dict()),
            "optimiser": trainer.optimizers[0].state_dict(),
            "scheduler": _schedule(trainer).state_dict(),
            "scaler": trainer.precision_plugin.state_dict(),
            "best": [self.best.epoch, self.best.validation_loss],
            "cost": self.cost.tally(),
        }
        save_state(self.best.folder, state)
        self.finished = done


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
