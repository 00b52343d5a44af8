"""Run Lightning quietly, with the batch that fits, and leave with the best weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import lightning.pytorch as lightning
import safetensors.torch

from napari_neuropretrain.errors import Cancelled, NeuropretrainError, is_out_of_memory
from napari_neuropretrain.progress import KEEP_BEST, Progress
from napari_neuropretrain.training.average import AverageWeights
from napari_neuropretrain.training.batches import EpochBatches, EpochOrder
from napari_neuropretrain.training.callbacks import (
    BeginEpoch,
    ReportProgress,
    SettleStatistics,
)
from napari_neuropretrain.training.checkpoints import (
    KeepBest,
    KeepState,
    first_state,
)
from napari_neuropretrain.training.cost import MeasureCost
from napari_neuropretrain.training.fit_settings import Fit, FitSettings, Loaders
from napari_neuropretrain.training.fit_words import (
    say_resumed,
    say_smaller,
    too_large,
    warn_of_norms,
)
from napari_neuropretrain.training.interruption import (
    EnoughTrained,
    HeldReport,
    KeepWithin,
)
from napari_neuropretrain.training.memory import Pace, free_memory, smallest_batch
from napari_neuropretrain.training.module import LearningModule
from napari_neuropretrain.training.quiet import quiet, settings_kept
from napari_neuropretrain.training.resume import State, load_state, note_pace
from napari_neuropretrain.training.trainer import make_trainer
from napari_neuropretrain.weights.model_file import load_tensors


def fit(
    module: LearningModule,
    loaders: Callable[[int], Loaders],
    settings: FitSettings,
    reporter: ReportProgress,
) -> Fit:
    """Train until `epochs`, or `patience` epochs without a better validation loss.

    A file named ``keep_best`` in the run folder ends it after the step, too.

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
    warn_of_norms(module.network, settings.processes, report)
    if "optimiser" in start:
        say_resumed(start, settings.epochs, folder, report)
    while True:
        keep = _restore(module, start, settings, reporter)
        if start["done"] or _fits(module, loaders, pace, settings, keep, reporter):
            break
        say_smaller(pace, report)
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
        if (world := settings.processes.ranks.world) > 1:
            raise NeuropretrainError(too_large(pace, world)) from error
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
    start = keep.start
    batches.begin(module.first_epoch, start.get("position", 0))
    module.validation_shares = known.shares()
    callbacks = _callbacks(loaders, batches, settings, keep, reporter)
    with quiet(), settings_kept():
        trainer = make_trainer(
            callbacks,
            settings.processes,
            precision=settings.precision,
            accumulate_grad_batches=pace.accumulate,
            gradient_clip_val=settings.clip or None,
            max_epochs=settings.epochs - module.first_epoch,
            # An epoch that begins in the middle has fewer batches than the next one.
            reload_dataloaders_every_n_epochs=1 if start.get("position") else 0,
        )
        try:
            trainer.fit(module, loaders.train, loaders.validation)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise Cancelled("Stopped from outside (Ctrl-C).") from None
        except EnoughTrained as wish:
            reporter.report(Progress("warning", str(wish)))


def _callbacks(
    loaders: Loaders,
    batches: EpochBatches,
    settings: FitSettings,
    keep: KeepState,
    reporter: ReportProgress,
) -> list[lightning.Callback]:
    """Return what happens beside the training, in this order."""
    if not isinstance(batches.order, EpochOrder):
        raise TypeError("the training loader needs an EpochOrder as its order")
    return [
        BeginEpoch(batches, batches.order.seed, keep.start),
        keep.cost,
        keep.average,
        SettleStatistics(loaders.sample),
        keep.best,
        keep,
        *([reporter] if settings.processes.leads else []),
        KeepWithin(
            keep,
            cast(HeldReport, reporter.report),
            settings.checkpoint_minutes,
            settings.checkpoints.parent / KEEP_BEST,
        ),
    ]


def _finish(module: LearningModule, keep: KeepState, pace: Pace) -> Fit:
    """Merge what the strategy added, and load the best weights."""
    best = keep.best
    if not best.epoch:
        raise NeuropretrainError(
            "No epoch gave a finite validation loss. Lower learning_rate (a tenth is a "
            "good try), look for odd labels, or, where precision is not float32, "
            "take float32."
        )
    module.cpu()
    module.plan.finish()
    if keep.processes.leads:  # the others are done
        weights = safetensors.torch.load_file(best.weights)
        load_tensors(module.network, weights, str(best.weights))
    cost = keep.cost.cost()
    return Fit(best.epoch, keep.finished, best.validation_loss, pace, cost)
