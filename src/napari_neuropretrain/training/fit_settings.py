"""How to train, and how it went."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.training.batches import Loader, count_batches
from napari_neuropretrain.training.cost import Cost
from napari_neuropretrain.training.distributed import Processes
from napari_neuropretrain.training.memory import Pace
from napari_neuropretrain.training.module import Schedule
from napari_neuropretrain.training.speed import Precision


@dataclass(frozen=True)
class Loaders:
    """Where the volumes come from.

    Parameters
    ----------
    train
        Its batch sampler is an `EpochBatches`.
    validation
        In order.
    sample
        Training volumes in order, for statistics.
    """

    train: Loader
    validation: Loader
    sample: Loader


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Parameters
    ----------
    checkpoints
        Folder for the best weights and the state to go on from.
    epochs, patience
        Longest training, and how long to wait for a better validation loss.
    pace
        Volumes per step and update; halved where the memory is too small.
    processes
        That train together, and where this one trains.
    precision
        Lightning's name of it.
    checkpoint_minutes
        Between two states within an epoch; 0: at the end of epochs only.
    average
        Decay of the average of the weights; 0: off.
    clip
        Largest norm of the gradients; 0: any.
    """

    checkpoints: Path
    epochs: int
    patience: int
    pace: Pace
    processes: Processes
    precision: Precision = "32-true"
    checkpoint_minutes: float = 10.0
    average: float = 0.0
    clip: float = 0.0

    @property
    def place(self) -> str:
        """Where the training happens, in words."""
        world = self.processes.ranks.world
        device = self.processes.device
        return str(device) if world == 1 else f"{world} {device.type} devices"


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Parameters
    ----------
    best_epoch
        Epoch of the kept weights, from 1 on.
    epochs
        Epochs that were run.
    validation_loss
        Of the kept weights.
    pace
        The last one.
    cost
        What it took.
    """

    best_epoch: int
    epochs: int
    validation_loss: float
    pace: Pace
    cost: Cost


def fit_settings(
    config: FinetuneConfig | PretrainConfig,
    pace: Pace,
    processes: Processes,
    precision: Precision,
) -> FitSettings:
    """Return how to train by the settings that both trainings have."""
    return FitSettings(
        Path(config.output) / "checkpoints",
        config.epochs,
        config.patience,
        pace,
        processes,
        precision,
        config.checkpoint_minutes,
        config.ema,
        config.clip,
    )


def schedule_of(config: FinetuneConfig | PretrainConfig, scans: int) -> Schedule:
    """Return the learning rate of each update, for a training of `epochs`.

    Parameters
    ----------
    config
        Settings of the training.
    scans
        That it learns from.
    """
    world = config.devices * config.nodes
    batches = count_batches(scans, config.batch_size, world)
    updates = math.ceil(batches / config.accumulate)
    total = config.epochs * updates
    # A warm-up longer than half of the training would leave no time to learn.
    warmup = min(config.warmup_epochs * updates, total // 2)
    return Schedule(
        config.learning_rate,
        config.weight_decay,
        warmup,
        total,
        config.optimiser,
        config.momentum,
    )
