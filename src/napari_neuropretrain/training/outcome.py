"""The end of a training: score every scan, write the model and what is known of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.split_files import hash_splits
from napari_neuropretrain.evaluation.assessment import Certainty
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.reporting.safely import write_safely
from napari_neuropretrain.training.baselines import judge_baselines
from napari_neuropretrain.training.batches import ordered_loader
from napari_neuropretrain.training.fit_settings import Fit
from napari_neuropretrain.training.learned import (
    TrainingLoss,
    say_if_idle,
    training_loss,
)
from napari_neuropretrain.training.reference import gather_reference
from napari_neuropretrain.training.report import report_finetuning
from napari_neuropretrain.training.results import (
    Scored,
    describe,
    describe_baselines,
    judge,
    judge_self_test,
    predict_logits,
    write_metrics,
    write_predictions,
)
from napari_neuropretrain.training.settled_output import settle_output
from napari_neuropretrain.training.study import Study
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.training.volumes import VolumeDataset
from napari_neuropretrain.weights.ancestry import cohorts_behind
from napari_neuropretrain.weights.initial import licence_of
from napari_neuropretrain.weights.model_card import ModelCard, summarise_cohort
from napari_neuropretrain.weights.model_card import Part as CatalogPart
from napari_neuropretrain.weights.model_file import CARD, read_card, save_model


def finish_training(
    config: FinetuneConfig,
    backbone: Choice,
    task: Task,
    network: nn.Module,
    study: Study,
    device: torch.device,
    trained: Fit,
    report: Report,
) -> Outcome:
    """Score every scan, and write the model and all that is known about it.

    Parameters
    ----------
    config
        Where to write, and what goes into the model card.
    backbone
        As it was built, with the shape of these volumes.
    task, study
        What was learned, and from whom.
    network
        With the best weights.
    device
        Where to score.
    trained
        How the training went.
    report
        Hears of the results.
    """
    output = Path(config.output)
    found: dict[str, Any] = {"splits": _citation(config, study)}
    found["cost"] = asdict(trained.cost)
    size = trained.pace.batch_size
    scored, offset, loss = _score(task, network, study, device, size, report)
    found["training_loss"] = asdict(loss)
    if task.kind == "regression":
        found["offset_taken_off"] = round(offset, 4)
    certainty = Certainty(seed=config.seed)
    metrics, threshold = judge(scored, task, certainty)
    if config.baselines:
        metrics["baselines"] = judge_baselines(
            config, study, task, scored, certainty, report
        )
    write_metrics(output / "metrics.json", metrics | found)
    write_predictions(output / "predictions.tsv", scored, task, threshold)
    card = _card(config, backbone, task, study, metrics, threshold, trained).replace(
        reference=gather_reference(study, scored, task)
    )
    model = save_model(output, network.cpu(), card)
    said = [describe(metrics, task), *describe_baselines(metrics, task)]
    if config.shuffle_labels:
        said.append(judge_self_test(metrics["test"], report))
    else:
        said += say_if_idle(loss, report)
    written = read_card(output / CARD)
    write_safely(
        lambda: report_finetuning(config, written, said, study.failures), report
    )
    return _outcome(output, model, " ".join(said), study.failures, report)


def _score(
    task: Task,
    network: nn.Module,
    study: Study,
    device: torch.device,
    batch_size: int,
    report: Report,
) -> tuple[list[Scored], float, TrainingLoss]:
    """Settle the output, and predict every scan without augmentation."""
    scans = study.volumes.scans
    every = VolumeDataset(study.volumes.sources, torch.zeros(len(scans)))
    loader = ordered_loader(every, batch_size)
    logits = predict_logits(network, loader, device, report)
    logits, offset = settle_output(network, task, study, logits)
    predictions = task.to_prediction(logits, study.scale).tolist()
    scored = [
        Scored(scan, study.parts[scan.key], study.labels[scan.key], prediction)
        for scan, prediction in zip(scans, predictions, strict=True)
    ]
    return scored, offset, training_loss(task, study, logits)


def _card(
    config: FinetuneConfig,
    backbone: Choice,
    task: Task,
    study: Study,
    metrics: dict[str, Any],
    threshold: float | None,
    trained: Fit,
) -> ModelCard:
    scans = study.volumes.scans
    rows = [(one.participant, study.parts[one.key], one.row) for one in scans]
    skipped = {"cohort", "output", "task", "backbone", "label", "overwrite", "splits"}
    skipped |= {"regions"}
    settings = config.model_dump(mode="json", exclude=skipped)
    found = {
        "best_epoch": trained.best_epoch,
        "epochs_run": trained.epochs,
        "batch_size_used": trained.pace.batch_size,
        "accumulate_used": trained.pace.accumulate,
    }
    return ModelCard(
        backbone=_part(backbone),
        task=_part(config.task),
        kind=task.kind,
        label=config.label or task.options.label,
        unit=task.unit,
        contract=study.volumes.contract,
        cohort=summarise_cohort(rows),
        earlier_cohorts=cohorts_behind(config.initial_weights),
        metrics=metrics,
        threshold=threshold,
        label_mean=study.scale.mean,
        label_sd=study.scale.sd,
        training=settings
        | found
        | {"splits": _citation(config, study), "cost": asdict(trained.cost)},
        licence=licence_of(config.initial_weights),
    )


def _citation(config: FinetuneConfig, study: Study) -> dict[str, str | int]:
    """Say which division was used; the hash is of ``splits.tsv`` of the run folder."""
    given = config.splits != NOTHING
    file = config.splits.name if given else "divided by fractions and seed"
    return {"file": file, "fold": config.fold, "sha256": hash_splits(study.parts)}


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
