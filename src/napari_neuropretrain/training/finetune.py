"""The job ``finetune``: train a network for a task, and test it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from napari_neuropretrain.config.choice import fit_backbone
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.split_files import write_splits
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.training.augmentations import Augmentation
from napari_neuropretrain.training.batches import (
    ordered_loader,
    training_loader,
)
from napari_neuropretrain.training.callbacks import ReportProgress
from napari_neuropretrain.training.distributed import Processes, join_processes
from napari_neuropretrain.training.fit import fit
from napari_neuropretrain.training.fit_settings import (
    Fit,
    FitSettings,
    Loaders,
    fit_settings,
    schedule_of,
)
from napari_neuropretrain.training.known_brains import (
    refuse_known_brains,
    remember_brains,
)
from napari_neuropretrain.training.labelled_cohort import PARTS
from napari_neuropretrain.training.leakage import check_leakage
from napari_neuropretrain.training.memory import Pace
from napari_neuropretrain.training.outcome import finish_training
from napari_neuropretrain.training.resume import check_settings, open_training
from napari_neuropretrain.training.speed import choose_precision, prepare_network
from napari_neuropretrain.training.study import Study, gather_study, validation_metric
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.task_module import TaskModule, start_head
from napari_neuropretrain.training.tracking import tracked
from napari_neuropretrain.tuning.plan import Plan
from napari_neuropretrain.weights.initial import load_initial_weights

_FREE_TO_CHANGE = {
    "cohort",
    "output",
    "splits",
    "regions",
    "baselines",
    "workers",
    "threads",
    "device",
    "devices",
    "nodes",
    "checkpoint_minutes",
    "trackers",
    "channels_last",
    "checkpointing",
    "compile",
    "overwrite",
}
"""Settings that may differ when an interrupted training goes on."""


def finetune(config: FinetuneConfig, report: Report) -> Outcome:
    """Train on a cohort, choose the best epoch, test on held-out participants.

    Where the run folder holds an interrupted training with the same settings, it
    goes on at the last checkpoint.

    Parameters
    ----------
    config
        Cohort, task, network and how to train.
    report
        Hears of each step; may raise `Cancelled`, and then the best weights so far
        stay in ``checkpoints/``.

    Returns
    -------
    Outcome
        The test in a sentence; scans that could not be used are its failures.

    Raises
    ------
    ConfigError
        If the run folder holds a training with other settings, or a setting does
        not fit the backbone or the device.
    CohortError
        If labels are missing or there are too few participants.
    LeakageError
        If the initial weights learned from participants of the test part.
    ContractError
        If the scans were preprocessed in different ways.
    CheckpointError
        If the initial weights cannot be used.
    DeviceError
        If the device is absent.
    """
    with (
        join_processes("finetune", config, report) as (processes, heard),
        tracked("finetune", config, processes, heard) as told,
    ):
        return _finetune(config, processes, told)


def _finetune(config: FinetuneConfig, processes: Processes, report: Report) -> Outcome:
    output, checkpoints = Path(config.output), Path(config.output) / "checkpoints"
    settings = config.model_dump(mode="json", exclude=_FREE_TO_CHANGE)
    device = processes.device
    precision = choose_precision(config.precision, device)
    check_settings(checkpoints, settings, config.overwrite)
    torch.set_num_threads(config.threads)
    task: Task = config.task.entry.load()(config.task.options)
    study = processes.first(lambda: gather_study(config, task, report))
    check_leakage(study.volumes.scans, study.parts, config, report)
    refuse_known_brains(study.brains, study.parts, config, report)
    settings |= {"scans and labels": study.digest()}
    pace = Pace(config.batch_size, config.accumulate)
    pace = processes.only_first(
        lambda: open_training(checkpoints, settings, pace, config.overwrite)
    )
    if processes.leads:
        write_splits(output / "splits.tsv", study.parts)
        remember_brains(config, study.brains, study.parts)
    torch.manual_seed(config.seed)
    network = _network(config, task, study, report)
    fitting = fit_settings(config, pace, processes, precision)
    trained = _train(config, task, network, study, fitting, report)
    if not processes.leads:
        return Outcome("")
    report(Progress("metric", str(trained.cost), values=asdict(trained.cost)))
    backbone = fit_backbone(config.backbone, study.volumes.contract.shape)
    return finish_training(
        config, backbone, task, network, study, device, trained, report
    )


def _network(
    config: FinetuneConfig, task: Task, study: Study, report: Report
) -> nn.Module:
    """Build the network for volumes of this shape, from scratch or from weights."""
    backbone = fit_backbone(config.backbone, study.volumes.contract.shape)
    network: nn.Module = backbone.entry.load()(backbone.options)
    if config.initial_weights:
        load_initial_weights(network, config.initial_weights, report)
    elif config.tuning.name != "full":
        message = (
            f"tuning is {config.tuning}, but initial_weights is empty: what does not "
            "learn keeps its random weights. Give initial weights, or tune fully."
        )
        report(Progress("warning", message))
    head: str = network.head_name  # type: ignore[assignment]
    start_head(network, head, task.initial_bias(study.dataset("train").targets))
    return network


def _train(
    config: FinetuneConfig,
    task: Task,
    network: nn.Module,
    study: Study,
    fitting: FitSettings,
    report: Report,
) -> Fit:
    plan: Plan = config.tuning.entry.load()(network, config.tuning.options)
    prepare_network(network, config)
    if plan.last_start >= config.epochs:
        message = (
            f"tuning: some stages would start to learn in epoch {plan.last_start + 1}, "
            f"but there are only {config.epochs} epochs."
        )
        report(Progress("warning", message))
    augment = Augmentation(config.seed) if config.augment else None
    schedule = schedule_of(config, len(study.labels_of("train")))
    module = TaskModule(plan, task, schedule, augment, config.channels_last)
    sizes = ", ".join(f"{len(study.labels_of(part))} {part}" for part in PARTS)
    report(Progress("step", f"Training on {fitting.place}: {sizes} scans"))
    reporter = ReportProgress(report, validation_metric(task, study), config.epochs)

    def loaders(batch_size: int) -> Loaders:
        train, validation = study.dataset("train"), study.dataset("validation")
        ranks = fitting.processes.ranks
        # As many as are measured at once, but less where the memory is small.
        many = max(8, config.batch_size) * batch_size // config.batch_size
        return Loaders(
            training_loader(train, batch_size, config.seed, ranks),
            ordered_loader(validation, batch_size, ranks),
            ordered_loader(train, max(2, many)),
        )

    return fit(module, loaders, fitting, reporter)
