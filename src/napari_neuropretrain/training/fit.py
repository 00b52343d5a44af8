"""Run Lightning quietly, with the batch that fits, and leave with the best weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as lightning
import safetensors.torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.errors import Cancelled, NeuropretrainError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.average import AverageWeights
from napari_neuropretrain.training.batches import EpochBatches, EpochOrder, Loader
from napari_neuropretrain.training.callbacks import (
    BeginEpoch,
    ReportProgress,
    SettleStatistics,
)
from napari_neuropretrain.training.checkpoints import (
    HeldReport,
    KeepBest,
    KeepState,
    KeepWithin,
    first_state,
)
from napari_neuropretrain.training.cost import Cost, MeasureCost
from napari_neuropretrain.training.distributed import Processes
from napari_neuropretrain.training.memory import (
    Pace,
    free_memory,
    is_out_of_memory,
    smallest_batch,
)
from napari_neuropretrain.training.module import LearningModule
from napari_neuropretrain.training.quiet import quiet, settings_kept
from napari_neuropretrain.training.resume import State, load_state, note_pace
from napari_neuropretrain.training.speed import Precision
from napari_neuropretrain.weights.model_file import load_tensors


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


def fit(
    module: LearningModule,
    loaders: Callable[[int], Loaders],
    settings: FitSettings,
    reporter: ReportProgress,
) -> Fit:
    """Train until `epochs`, or `patience` epochs without a better validation loss.

    Goes on from the state in the checkpoint folder, if there is one. A training that
    runs out of memory goes on from there with half the batch.

    Parameters
    ----------
    module
        Its network is the plain one with the best weights afterwards, on the CPU.
    loaders
        From a batch size to the loaders.
    settings
        How to train.
    reporter
        Tells what happens.

    Raises
    ------
    Cancelled
        If the report raised it, or on Ctrl-C or SIGTERM.
    NeuropretrainError
        If no epoch gave a finite validation loss.
    """
    held = HeldReport(reporter.report)
    folder, report, reporter.report = settings.checkpoints, held, held
    pace, start = settings.pace, load_state(folder, report) or first_state(module)
    if settings.processes.ranks.world > 1:
        _warn_of_norms(module, settings, report)
    if "optimiser" in start:
        _say_resumed(start, settings, report)
    while True:
        keep = _restore(module, start, settings, reporter)
        if start["done"] or _fits(module, loaders, pace, settings, keep, reporter):
            break
        _say_smaller(pace, report)
        free_memory(module.network)
        pace = pace.halved()
        note_pace(folder, pace)
        start = load_state(folder, report) or start
    if held.request:
        raise held.request
    return _finish(module, keep, pace)


def _restore(
    module: LearningModule,
    start: State,
    settings: FitSettings,
    reporter: ReportProgress,
) -> KeepState:
    """Put everything but the optimiser back to `start`."""
    processes = settings.processes
    best = KeepBest(settings.checkpoints, settings.patience, processes.leads)
    cost = MeasureCost(module.plan, processes.device)
    average = AverageWeights(module.network, settings.average)
    average.restore(start.get("average", {}))
    best.epoch, best.validation_loss = start["best"]
    reporter.best_loss = best.validation_loss
    cost.restore(start["cost"])
    module.first_epoch = start["epoch"]
    module.network.cpu().load_state_dict(start["network"])
    module.network.train()
    return KeepState(best, cost, average, settings.epochs, start, processes)


def _fits(
    module: LearningModule,
    loaders: Callable[[int], Loaders],
    pace: Pace,
    settings: FitSettings,
    keep: KeepState,
    reporter: ReportProgress,
) -> bool:
    """Train; False if the memory is too small for this batch, but not for half."""
    try:
        _train(module, loaders(pace.batch_size), pace, settings, keep, reporter)
    except (RuntimeError, MemoryError) as error:
        least = smallest_batch(module.network)
        if not is_out_of_memory(error) or pace.batch_size <= least:
            raise
        if settings.processes.ranks.world > 1:
            raise NeuropretrainError(_too_large(pace, settings)) from error
        # The traceback holds the tensors of the step: leave the clause before more.
        return False
    return True


def _train(
    module: LearningModule,
    loaders: Loaders,
    pace: Pace,
    settings: FitSettings,
    keep: KeepState,
    reporter: ReportProgress,
) -> None:
    batches, known = loaders.train.batch_sampler, loaders.validation.batch_sampler
    if not isinstance(batches, EpochBatches) or not isinstance(known, EpochBatches):
        raise TypeError("the loaders need an EpochBatches as their batch sampler")
    if not isinstance(batches.order, EpochOrder):
        raise TypeError("the training loader needs an EpochOrder as its order")
    start = keep.start
    batches.begin(module.first_epoch, start.get("position", 0))
    module.validation_shares = known.shares()
    callbacks: list[lightning.Callback] = [
        BeginEpoch(batches, batches.order.seed, start),
        keep.cost,
        keep.average,
        SettleStatistics(loaders.sample),
        keep.best,
        keep,
    ]
    if settings.processes.leads:
        callbacks.append(reporter)
    held = cast(HeldReport, reporter.report)
    callbacks.append(KeepWithin(keep, held, settings.checkpoint_minutes))
    with quiet(), settings_kept():
        epochs = settings.epochs - module.first_epoch
        trainer = _trainer(callbacks, epochs, pace.accumulate, settings, start)
        try:
            trainer.fit(module, loaders.train, loaders.validation)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise Cancelled("Stopped from outside (Ctrl-C).") from None


def _trainer(
    callbacks: list[lightning.Callback],
    epochs: int,
    accumulate: int,
    settings: FitSettings,
    start: State,
) -> lightning.Trainer:
    return lightning.Trainer(
        **_places(settings.processes),
        precision=settings.precision,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=settings.clip or None,
        max_epochs=epochs,
        callbacks=callbacks,
        # An epoch that begins in the middle has fewer batches than the next one.
        reload_dataloaders_every_n_epochs=1 if start.get("position") else 0,
        # 3D pooling has no deterministic backward on CUDA; elsewhere all is exact.
        deterministic="warn",
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _places(processes: Processes) -> dict[str, Any]:
    """Return what Lightning must know of devices and processes."""
    device, ranks = processes.device, processes.ranks
    if ranks.world == 1:
        index = [device.index or 0] if device.type == "cuda" else 1
        return {"accelerator": device.type, "devices": index}
    # A strategy may let parts learn later, and methods leave parts unused.
    strategy = DDPStrategy(
        cluster_environment=LightningEnvironment(), find_unused_parameters=True
    )
    return {
        "accelerator": device.type,
        "devices": ranks.devices,
        "num_nodes": ranks.nodes,
        "strategy": strategy,
        "use_distributed_sampler": False,
        # torch has none for CPUs.
        "sync_batchnorm": device.type == "cuda",
    }


def _finish(module: LearningModule, keep: KeepState, pace: Pace) -> Fit:
    """Merge what the strategy added, and load the best weights."""
    best = keep.best
    if not best.epoch:
        raise NeuropretrainError(
            "No epoch gave a finite validation loss. Lower learning_rate (a tenth is a "
            "good try), or look for odd labels."
        )
    module.cpu()
    module.plan.finish()
    if keep.processes.leads:  # the others are done
        weights = safetensors.torch.load_file(best.weights)
        load_tensors(module.network, weights, str(best.weights))
    cost = keep.cost.cost()
    return Fit(best.epoch, keep.finished, best.validation_loss, pace, cost)


def _say_resumed(start: State, settings: FitSettings, report: Report) -> None:
    message = f"Going on after epoch {start['epoch']} of {settings.epochs}"
    if step := start.get("step", 0):
        message = f"Going on in epoch {start['epoch'] + 1} of {settings.epochs}, "
        message += f"after step {step}"
    if start["done"]:
        message = f"The training is finished already (epoch {start['epoch']})"
    folder = settings.checkpoints
    report(Progress("warning", f"{message}: found in '{folder}'."))


def _warn_of_norms(
    module: LearningModule, settings: FitSettings, report: Report
) -> None:
    """Say that batch normalisation is not joined on CPUs."""
    kinds = nn.modules.batchnorm._BatchNorm
    normed = any(isinstance(one, kinds) for one in module.network.modules())
    if normed and settings.processes.device.type == "cpu":
        message = (
            "On CPUs each process normalises its own part of a batch: the result is "
            "not that of one process. On GPUs the statistics are of the whole batch."
        )
        report(Progress("warning", message))


def _say_smaller(pace: Pace, report: Report) -> None:
    half = pace.halved()
    report(
        Progress(
            "warning",
            f"Out of memory with {pace.batch_size} volumes per step: going on with "
            f"{half.batch_size}, and {half.accumulate} steps per update of the "
            f"weights. What was done since the last checkpoint is done again.",
            values={"batch_size": half.batch_size, "accumulate": half.accumulate},
        )
    )


def _too_large(pace: Pace, settings: FitSettings) -> str:
    world, half = settings.processes.ranks.world, pace.halved()
    return (
        f"Out of memory: a batch of {pace.batch_size} volumes is "
        f"{-(-pace.batch_size // world)} for each of {world} devices. Give "
        f"batch_size {half.batch_size} and accumulate {half.accumulate}, turn on "
        "checkpointing, or take more devices. (Only a training on one device halves "
        "the batch by itself.)"
    )
