"""The job ``pretrain``: teach a backbone by a method, and save the encoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.choice import Choice, fit_backbone
from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.data.split_files import write_splits
from napari_neuropretrain.methods.batch import Method
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.reporting.safely import write_safely
from napari_neuropretrain.training.batches import (
    ordered_loader,
    training_loader,
)
from napari_neuropretrain.training.callbacks import ReportProgress
from napari_neuropretrain.training.collapse import feature_rank
from napari_neuropretrain.training.distributed import Processes, join_processes
from napari_neuropretrain.training.fit import fit
from napari_neuropretrain.training.fit_settings import (
    Fit,
    FitSettings,
    Loaders,
    fit_settings,
    schedule_of,
)
from napari_neuropretrain.training.known_brains import brains_of, remember_brains
from napari_neuropretrain.training.memory import Pace
from napari_neuropretrain.training.online_probe import make_probe
from napari_neuropretrain.training.pretrain_cohort import PretrainCohort, gather_cohort
from napari_neuropretrain.training.pretrain_file import save_pretrained
from napari_neuropretrain.training.pretrain_module import DrawBatch, PretrainModule
from napari_neuropretrain.training.report import report_pretraining
from napari_neuropretrain.training.resume import check_settings, open_training
from napari_neuropretrain.training.speed import choose_precision
from napari_neuropretrain.training.tracking import tracked
from napari_neuropretrain.training.views import Views
from napari_neuropretrain.tuning.plan import Group, Plan
from napari_neuropretrain.weights.encoder_file import read_encoder_card
from napari_neuropretrain.weights.initial import load_initial_weights

_PLACES = {"path", "cache", "memory_gib"}
"""Options of a source that may differ, too: data can move."""
_FREE_TO_CHANGE = {
    "cohort",
    "source",
    "splits",
    "output",
    "workers",
    "threads",
    "device",
    "devices",
    "nodes",
    "checkpoint_minutes",
    "trackers",
    "find_repeats",
    "overwrite",
    "probe",
    "probe_labels",
    "probe_every",
    "probe_volumes",
}
"""Settings that may differ when an interrupted training goes on."""
_TRAIN_STREAM, _VALIDATION_STREAM = 1, 3


def pretrain(config: PretrainConfig, report: Report) -> Outcome:
    """Pre-train on a cohort and write the encoder of the best epoch.

    Where the run folder holds an interrupted training with the same settings, it
    goes on at the last checkpoint.

    Parameters
    ----------
    config
        Cohort, method, network and how to train.
    report
        Hears of each step; may raise `Cancelled`, and then the best weights so far
        stay in ``checkpoints/``.

    Returns
    -------
    Outcome
        The best epoch in a sentence; scans that could not be used are its failures.

    Raises
    ------
    ConfigError
        If the method cannot work with the backbone, or the run folder holds a
        training with other settings.
    CohortError
        If labels are missing or there are too few participants.
    ContractError
        If the scans were preprocessed in different ways.
    CheckpointError
        If the initial weights cannot be used.
    DeviceError
        If the device is absent.
    """
    with (
        join_processes("pretrain", config, report) as (processes, heard),
        tracked("pretrain", config, processes, heard) as told,
    ):
        return _pretrain(config, processes, told)


def _pretrain(config: PretrainConfig, processes: Processes, report: Report) -> Outcome:
    checkpoints = Path(config.output) / "checkpoints"
    settings = config.model_dump(mode="json", exclude=_FREE_TO_CHANGE)
    settings["source"] = _settings_of_source(config)
    precision = choose_precision(config.precision, processes.device)
    kind = _check_pair(config)
    check_settings(checkpoints, settings, config.overwrite)
    torch.set_num_threads(config.threads)
    cohort = processes.first(lambda: gather_cohort(config, kind.smallest_batch, report))
    settings |= {"scans and labels": cohort.digest()}
    pace = Pace(config.batch_size, config.accumulate)
    pace = processes.only_first(
        lambda: open_training(checkpoints, settings, pace, config.overwrite)
    )
    if processes.leads:
        write_splits(Path(config.output) / "splits.tsv", cohort.parts)
        remember_brains(config, brains_of(config, cohort, report), cohort.parts)
    torch.manual_seed(config.seed)
    backbone = fit_backbone(config.backbone, cohort.source.shape)
    method = _method(config, backbone, cohort, report)
    fitting = fit_settings(config, pace, processes, precision)
    trained = _train(config, method, cohort, fitting, report)
    if not processes.leads:
        return Outcome("")
    report(Progress("metric", str(trained.cost), values=asdict(trained.cost)))
    encoder = cast(Method, method).encoder
    path = save_pretrained(config, backbone, encoder, cohort, trained)
    report(Progress("result", values={"kind": "encoder", "path": str(path)}))
    outcome = _outcome(path, cohort, trained)
    card = read_encoder_card(path.with_suffix(".json"))
    write_safely(
        lambda: report_pretraining(config, card, outcome.message, cohort.failures),
        report,
    )
    return outcome


def _settings_of_source(config: PretrainConfig) -> dict[str, Any]:
    """Return what decides on the volumes; the digest tells who they are."""
    options = config.source.options.model_dump(mode="json", exclude=_PLACES)
    return {"name": config.source.name, **options}


def _check_pair(config: PretrainConfig) -> type[Method]:
    """Refuse a method that cannot work with the backbone, before any work."""
    kind: type[Method] = config.method.entry.load()
    with torch.device("meta"):
        kind.check_backbone(config.backbone.entry.load()(config.backbone.options))
    return kind


def _method(
    config: PretrainConfig, backbone: Choice, cohort: PretrainCohort, report: Report
) -> nn.Module:
    """Build backbone and method, from scratch or from weights."""
    network: nn.Module = backbone.entry.load()(backbone.options)
    if config.initial_weights:
        load_initial_weights(network, config.initial_weights, report)
    method: nn.Module = config.method.entry.load()(config.method.options, network)
    if cohort.labels is not None:
        cast(Method, method).fit_labels(cohort.labels_of("train"), cohort.classes)
    return method


def _train(
    config: PretrainConfig,
    network: nn.Module,
    cohort: PretrainCohort,
    fitting: FitSettings,
    report: Report,
) -> Fit:
    learning = tuple(one for one in network.parameters() if one.requires_grad)
    plan = Plan(network, [Group("all", learning)])
    train, validation = cohort.dataset("train"), cohort.dataset("validation")
    schedule = schedule_of(config, len(train))
    draws, probe = _draws(config, network, cohort), make_probe(config, cohort, report)
    module = PretrainModule(plan, schedule, *draws, probe, config.epochs)
    message = f"{len(train)} training and {len(validation)} validation scans"
    report(Progress("step", f"Pre-training on {fitting.place}: {message}"))
    reporter = ReportProgress(report, _judge_features, config.epochs)
    least, ranks = cast(Method, network).smallest_batch, fitting.processes.ranks

    def loaders(batch_size: int) -> Loaders:
        rest = len(validation) % batch_size
        # Fewer would have nothing to be compared with.
        kept = validation.first(len(validation) - rest) if rest < least else validation
        return Loaders(
            training_loader(train, batch_size, config.seed, ranks),
            ordered_loader(kept, batch_size, ranks),
            ordered_loader(train, max(2, batch_size)),
        )

    return fit(module, loaders, fitting, reporter)


def _draws(
    config: PretrainConfig, network: nn.Module, cohort: PretrainCohort
) -> tuple[DrawBatch, DrawBatch]:
    """Return what draws views for the training, and for the validation."""
    count, labelled = cast(Method, network).views, cohort.labels is not None
    options = config.method.options
    views = Views(options) if isinstance(options, ViewOptions) else None
    # One view is an augmentation, which a validation does without.
    compared = views if count > 1 else None
    return (
        DrawBatch(views, count, labelled, config.seed, _TRAIN_STREAM),
        DrawBatch(compared, count, labelled, config.seed, _VALIDATION_STREAM),
    )


def _judge_features(features: Tensor) -> tuple[str, float]:
    return "feature_rank", feature_rank(features)


def _outcome(path: Path, cohort: PretrainCohort, trained: Fit) -> Outcome:
    message = (
        f"Pre-trained for {trained.epochs} epochs; epoch {trained.best_epoch} is the "
        f"best, with a validation loss of {trained.validation_loss:.4g}. Start a "
        f"fine-tuning from it: --initial-weights {path}."
    )
    if cohort.failures:
        message += f" {len(cohort.failures)} scans could not be used."
    results = {"encoder": str(path), "splits": str(path.parent / "splits.tsv")}
    return Outcome(message, cohort.failures, results)
