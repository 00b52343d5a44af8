"""The job ``finetune``: train a network for a task, and test it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.catalog import TUNINGS
from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import FinetuneConfig
from napari_neuropretrain.data.splits import Part, write_splits
from napari_neuropretrain.evaluation.metrics import roc_auc
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.training.augmentations import Augmentation
from napari_neuropretrain.training.callbacks import (
    Metric,
    ReportProgress,
    SettleStatistics,
)
from napari_neuropretrain.training.fit import Fit, fit
from napari_neuropretrain.training.labelled_cohort import PARTS, divide, read_labels
from napari_neuropretrain.training.module import Schedule, TaskModule, start_head
from napari_neuropretrain.training.preprocessed import preprocessed_cohort
from napari_neuropretrain.training.results import (
    Scored,
    describe,
    judge,
    predict_logits,
    write_metrics,
    write_predictions,
)
from napari_neuropretrain.training.task import Scale, Task
from napari_neuropretrain.training.volumes import (
    VolumeDataset,
    Volumes,
    load_volumes,
    ordered_loader,
    training_loader,
)
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.model_card import ModelCard, summarise_cohort
from napari_neuropretrain.weights.model_card import Part as CatalogPart
from napari_neuropretrain.weights.model_file import save_model


@dataclass(frozen=True, eq=False)
class Study:
    """Everything the training looks at.

    Parameters
    ----------
    volumes
        Usable scans with a label.
    labels
        Label by scan key, in the label's unit.
    parts
        Split by scan key.
    scale
        Fitted on the training labels.
    failures
        Scans that were left out.
    """

    volumes: Volumes
    labels: Mapping[str, float]
    parts: Mapping[str, Part]
    scale: Scale
    failures: tuple[Failure, ...]

    def labels_of(self, part: Part) -> Tensor:
        """Return the labels (N,) of one part, in the order of `dataset`."""
        keys = [scan.key for scan in self.volumes.scans if self.parts[scan.key] == part]
        return torch.tensor([self.labels[key] for key in keys], dtype=torch.float32)

    def dataset(self, part: Part) -> VolumeDataset:
        """Return the volumes of one part with their scaled labels."""
        pairs = zip(self.volumes.scans, self.volumes.sources, strict=True)
        sources = [source for scan, source in pairs if self.parts[scan.key] == part]
        return VolumeDataset(sources, self.scale.standardise(self.labels_of(part)))


def finetune(config: FinetuneConfig, report: Report) -> Outcome:
    """Train on a cohort, choose the best epoch, test on held-out participants.

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
    CohortError
        If labels are missing or there are too few participants.
    ContractError
        If the scans were preprocessed in different ways.
    DeviceError
        If the device is absent.
    """
    device = find_device(config.device)
    torch.set_num_threads(config.threads)
    task: Task = config.task.entry.load()(config.task.options)
    study = _gather(config, task, report)
    output = Path(config.output)
    write_splits(output / "splits.tsv", study.parts)
    torch.manual_seed(config.seed)
    network: nn.Module = config.backbone.entry.load()(config.backbone.options)
    start_head(network, task.initial_bias(study.dataset("train").targets))
    trained = _train(config, task, network, study, device, report)
    scored = _score(config, task, network, study, device, report)
    metrics, threshold = judge(scored, task)
    write_metrics(output / "metrics.json", metrics)
    write_predictions(output / "predictions.tsv", scored, task, threshold)
    card = _card(config, task, study, metrics, threshold, trained)
    model = save_model(output, network.cpu(), card)
    return _outcome(output, model, describe(metrics, task), study.failures, report)


def _gather(config: FinetuneConfig, task: Task, report: Report) -> Study:
    """Preprocess where needed, read labels and volumes, and divide."""
    cohort = preprocessed_cohort(
        Path(config.cohort),
        PreprocessingContract(shape=config.shape),
        Path(config.output) / "preprocessed",
        report,
        config.workers,
    )
    labels = read_labels(cohort, task, config.label or task.options.label, report)
    labelled = [scan for scan in cohort.scans if scan.key in labels.values]
    # Before the volumes are read: too few participants is soon said.
    fractions = (config.validation_fraction, config.test_fraction)
    divide(labelled, labels.values, task, fractions, config.seed)
    volumes = load_volumes(labelled, report)
    kept = list(volumes.scans)
    parts = divide(kept, labels.values, task, fractions, config.seed)
    train = [labels.values[one.key] for one in kept if parts[one.key] == "train"]
    failures = (*cohort.problems, *labels.failures, *volumes.failures)
    scale = task.fit_scale(torch.tensor(train))
    return Study(volumes, labels.values, parts, scale, failures)


def _train(
    config: FinetuneConfig,
    task: Task,
    network: nn.Module,
    study: Study,
    device: torch.device,
    report: Report,
) -> Fit:
    loader = training_loader(study.dataset("train"), config.batch_size, config.seed)
    validation = ordered_loader(study.dataset("validation"), config.batch_size)
    total = config.epochs * len(loader)
    # A warm-up longer than half of the training would leave no time to learn.
    warmup = min(config.warmup_epochs * len(loader), total // 2)
    rate, decay = config.learning_rate, config.weight_decay
    module = TaskModule(
        network,
        task,
        TUNINGS["full"].load()(network),
        Schedule(rate, decay, warmup, total),
        Augmentation(config.seed) if config.augment else None,
    )
    sizes = ", ".join(f"{len(study.labels_of(part))} {part}" for part in PARTS)
    report(Progress("step", f"Training on {device}: {sizes} scans", 0, total))
    reporter = ReportProgress(report, _metric(task, study))
    folder = Path(config.output) / "checkpoints"
    sample = ordered_loader(study.dataset("train"), max(8, config.batch_size))
    callbacks = (SettleStatistics(sample), reporter)
    loaders = (loader, validation)
    return fit(
        module, loaders, folder, config.epochs, config.patience, device, callbacks
    )


def _metric(task: Task, study: Study) -> Metric:
    """Return what judges the validation logits in each epoch."""
    labels = study.labels_of("validation")

    def judge_logits(logits: Tensor) -> tuple[str, float]:
        predictions = task.to_prediction(logits, study.scale)
        if task.kind == "binary":
            return "roc_auc", roc_auc(predictions.numpy(), labels.numpy())
        return "mae", float((predictions - labels).abs().mean())

    return judge_logits


def _score(
    config: FinetuneConfig,
    task: Task,
    network: nn.Module,
    study: Study,
    device: torch.device,
    report: Report,
) -> list[Scored]:
    """Predict every scan with the best weights, without augmentation."""
    scans = study.volumes.scans
    every = VolumeDataset(study.volumes.sources, torch.zeros(len(scans)))
    loader = ordered_loader(every, config.batch_size)
    logits = predict_logits(network, loader, device, report)
    predictions = task.to_prediction(logits, study.scale).tolist()
    return [
        Scored(scan, study.parts[scan.key], study.labels[scan.key], prediction)
        for scan, prediction in zip(scans, predictions, strict=True)
    ]


def _card(
    config: FinetuneConfig,
    task: Task,
    study: Study,
    metrics: dict[str, Any],
    threshold: float | None,
    trained: Fit,
) -> ModelCard:
    scans = study.volumes.scans
    rows = [(one.participant, study.parts[one.key], one.row) for one in scans]
    skipped = {"cohort", "output", "task", "backbone", "label"}
    settings = config.model_dump(mode="json", exclude=skipped)
    epochs = {"best_epoch": trained.best_epoch, "epochs_run": trained.epochs}
    return ModelCard(
        backbone=_part(config.backbone),
        task=_part(config.task),
        kind=task.kind,
        label=config.label or task.options.label,
        unit=task.unit,
        contract=study.volumes.contract,
        cohort=summarise_cohort(rows),
        metrics=metrics,
        threshold=threshold,
        label_mean=study.scale.mean,
        label_sd=study.scale.sd,
        training=settings | epochs,
    )


def _part(choice: Choice) -> CatalogPart:
    options = choice.options.model_dump(mode="json")
    return CatalogPart.parse(
        {"catalog": choice.catalog, "name": choice.name, "options": options}
    )


def _outcome(
    output: Path,
    model: Path,
    message: str,
    failures: tuple[Failure, ...],
    report: Report,
) -> Outcome:
    results = {
        "model": str(model),
        "metrics": str(output / "metrics.json"),
        "predictions": str(output / "predictions.tsv"),
        "splits": str(output / "splits.tsv"),
    }
    for kind, path in results.items():
        report(Progress("result", values={"kind": kind, "path": path}))
    if failures:
        message += f" {len(failures)} scans could not be used."
    return Outcome(message, failures, results)
