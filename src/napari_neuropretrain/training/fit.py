"""Run Lightning quietly, with the batch that fits, and leave with the best weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as lightning
import safetensors.torch
import torch

from napari_neuropretrain.errors import Cancelled, NeuropretrainError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.callbacks import (
    BeginEpoch,
    ReportProgress,
    SettleStatistics,
)
from napari_neuropretrain.training.checkpoints import KeepBest, KeepState, first_state
from napari_neuropretrain.training.cost import Cost, MeasureCost
from napari_neuropretrain.training.memory import (
    Pace,
    free_memory,
    is_out_of_memory,
    smallest_batch,
)
from napari_neuropretrain.training.module import LearningModule, loss_shares
from napari_neuropretrain.training.quiet import quiet, settings_kept
from napari_neuropretrain.training.resume import State, load_state, note_pace
from napari_neuropretrain.training.speed import Precision
from napari_neuropretrain.training.volumes import EpochOrder, Loader
from napari_neuropretrain.weights.model_file import load_tensors


@dataclass(frozen=True)
class Loaders:
    """Where the volumes come from.

    Parameters
    ----------
    train
        Its sampler is an `EpochOrder`.
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
    device
        Where to train.
    precision
        Lightning's name of it.
    """

    checkpoints: Path
    epochs: int
    patience: int
    pace: Pace
    device: torch.device
    precision: Precision = "32-true"


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


def fit(
    module: LearningModule,
    loaders: Callable[[int], Loaders],
    settings: FitSettings,
    reporter: ReportProgress,
) -> Fit:
    """Train until `epochs`, or `patience` epochs without a better validation loss.

    Goes on from the state in the checkpoint folder, if there is one. An epoch that
    runs out of memory begins again with half the batch.

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
    folder, report = settings.checkpoints, reporter.report
    pace, start = settings.pace, load_state(folder, report) or first_state(module)
    if start["epoch"]:
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
    return _finish(module, keep, pace)


def _restore(
    module: LearningModule,
    start: State,
    settings: FitSettings,
    reporter: ReportProgress,
) -> KeepState:
    """Put everything but the optimiser back to `start`."""
    best = KeepBest(settings.checkpoints, settings.patience)
    cost = MeasureCost(module.plan, settings.device)
    best.epoch, best.validation_loss = start["best"]
    reporter.best_loss = best.validation_loss
    cost.restore(start["cost"])
    module.first_epoch = start["epoch"]
    module.network.cpu().load_state_dict(start["network"])
    module.network.train()
    return KeepState(best, cost, settings.epochs, start)


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
    order = loaders.train.sampler
    if not isinstance(order, EpochOrder):
        raise TypeError("the training loader needs an EpochOrder as its sampler")
    order.begin(module.first_epoch)
    volumes = min(
        len(order), len(loaders.train) * pace.batch_size
    )  # one may be left out
    module.loss_shares = loss_shares(volumes, pace.batch_size, pace.accumulate)
    callbacks = [BeginEpoch(order), keep.cost, SettleStatistics(loaders.sample)]
    with quiet(), settings_kept():
        trainer = _trainer(
            [*callbacks, keep.best, keep, reporter],
            settings.epochs - module.first_epoch,
            pace.accumulate,
            settings,
        )
        try:
            trainer.fit(module, loaders.train, loaders.validation)
        except SystemExit:  # what Lightning makes of Ctrl-C and of SIGTERM
            raise Cancelled("Stopped from outside (Ctrl-C or SIGTERM).") from None


def _trainer(
    callbacks: list[lightning.Callback],
    epochs: int,
    accumulate: int,
    settings: FitSettings,
) -> lightning.Trainer:
    device = settings.device
    return lightning.Trainer(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision=settings.precision,
        accumulate_grad_batches=accumulate,
        max_epochs=epochs,
        callbacks=callbacks,
        # 3D pooling has no deterministic backward on CUDA; elsewhere all is exact.
        deterministic="warn",
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


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
    weights = safetensors.torch.load_file(best.weights)
    load_tensors(module.network, weights, str(best.weights))
    cost = keep.cost.cost()
    return Fit(best.epoch, keep.finished, best.validation_loss, pace, cost)


def _say_resumed(start: State, settings: FitSettings, report: Report) -> None:
    message = f"Going on after epoch {start['epoch']} of {settings.epochs}"
    if start["done"]:
        message = f"The training is finished already (epoch {start['epoch']})"
    folder = settings.checkpoints
    report(Progress("warning", f"{message}: found in '{folder}'."))


def _say_smaller(pace: Pace, report: Report) -> None:
    half = pace.halved()
    report(
        Progress(
            "warning",
            f"Out of memory with {pace.batch_size} volumes per step: going on with "
            f"{half.batch_size}, and {half.accumulate} steps per update of the "
            f"weights. The epoch begins again.",
            values={"batch_size": half.batch_size, "accumulate": half.accumulate},
        )
    )
