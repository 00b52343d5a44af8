"""The job ``predict``: apply one or many trained models to a cohort, with context."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

import torch

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import PredictConfig
from napari_neuropretrain.data.participants import Cohort
from napari_neuropretrain.errors import CohortError, ContractError
from napari_neuropretrain.inference.context import (
    doubts_about,
    percentile_among_all,
    percentiles,
)
from napari_neuropretrain.inference.models import (
    Ensemble,
    Model,
    group_models,
    read_models,
)
from napari_neuropretrain.inference.outputs import Answer, Looks, Runner
from napari_neuropretrain.inference.people import with_rows
from napari_neuropretrain.inference.perturbations import has_dropout
from napari_neuropretrain.inference.prediction_files import (
    REPORT,
    TABLE,
    Prediction,
    say_prediction,
    write_predictions,
)
from napari_neuropretrain.inference.prepare import prepare_cohort
from napari_neuropretrain.inference.uncertainty import Method, estimate
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.weights.card_text import RESEARCH_USE
from napari_neuropretrain.weights.device import find_device
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model


def predict(config: PredictConfig, report: Report) -> Outcome:
    """Predict every scan of a cohort with every model; what cannot be used is listed.

    Scans are preprocessed once for all models with the same contract. Models of one
    task and network are an ensemble, where the settings allow it.

    Parameters
    ----------
    config
        The models and the scans.
    report
        Hears ``item_done`` or ``item_failed`` for each scan and model, and a
        ``warning`` for people a model was trained on; may raise `Cancelled`.

    Raises
    ------
    CheckpointError
        If no model can be used.
    CohortError
        If there is no scan.
    ContractError
        If every scan was preprocessed differently and none can be done again.
    DeviceError
        If the device is absent.
    """
    find_device(config.device)
    torch.set_num_threads(config.threads)
    paths = [config.model, *(Path(one).expanduser() for one in config.more_models)]
    models = read_models(paths, report)
    ensembles = group_models(models, config.uncertainty in ("auto", "ensemble"))
    by_contract: dict[PreprocessingContract, list[Ensemble]] = defaultdict(list)
    for ensemble in ensembles:
        by_contract[ensemble.card.contract].append(ensemble)
    predictions: list[Prediction] = []
    failures: list[Failure] = []
    for contract, group in by_contract.items():
        try:
            cohort = _prepare(config, contract, len(by_contract), report)
        except (CohortError, ContractError) as error:
            if len(by_contract) == 1:
                raise
            failures += [_cannot(one, str(error), report) for one in group]
            continue
        failures += cohort.problems
        for ensemble in group:
            _warn_if_seen(cohort, ensemble, report)
            found, lost = _apply(ensemble, cohort, config, report)
            predictions += found
            failures += lost
    if not predictions:
        listed = "; ".join(f"{one.item}: {one.reason}" for one in failures[:5])
        raise CohortError(f"No scan of '{config.input}' could be predicted: {listed}")
    return _finish(config, ensembles, predictions, failures, report)


def _prepare(
    config: PredictConfig, contract: PreprocessingContract, ways: int, report: Report
) -> Cohort:
    """Preprocess what must be, in a folder of its own for each of several contracts."""
    folder = Path(config.output) / "preprocessed"
    if ways > 1:
        digest = hashlib.sha256(contract.model_dump_json().encode()).hexdigest()
        folder = folder / digest[:8]
    cohort = prepare_cohort(config.input, contract, folder, report, config.workers)
    return with_rows(cohort, config)


def _apply(
    ensemble: Ensemble, cohort: Cohort, config: PredictConfig, report: Report
) -> tuple[list[Prediction], list[Failure]]:
    """Ask every member about every scan, and sum up what they say."""
    answers: dict[str, list[Answer]] = defaultdict(list)
    failures: dict[str, Failure] = {}
    method: Method = "none"
    for number, model in enumerate(ensemble.members):
        if ensemble.members[1:]:
            report(Progress("step", f"{ensemble.name}: {model.name}"))
        runner = _runner(model, config)
        if not number:
            method = choose_method(config, ensemble, runner, report)
        for answer in runner.ask(cohort, Looks(method, config.samples), report):
            answers[answer.scan.key].append(answer)
        failures |= {one.item: one for one in runner.failures}
    found = []
    for given in answers.values():
        found.append(_sum_up(ensemble, given, method, config.level))
        step = len(found), len(answers)
        say_prediction(found[-1], step, report)
    return found, list(failures.values())


def _runner(model: Model, config: PredictConfig) -> Runner:
    network, card = load_model(model.path)
    device = find_device(config.device)
    return Runner(network, card, device, config.batch_size)


def choose_method(
    config: PredictConfig, ensemble: Ensemble, runner: Runner, report: Report
) -> Method:
    """Return how the spread of a prediction is found: what the model has.

    Several models are an ensemble; else dropout, where the network has any; else the
    scan itself is changed a little. One that was asked for and is not there is said in
    a ``warning``.
    """
    wanted, several = config.uncertainty, len(ensemble.members) > 1
    drops = has_dropout(runner.network)
    if wanted == "auto":
        return "ensemble" if several else "dropout" if drops else "tta"
    lacks = {
        "ensemble": not several and "there is one model of its kind",
        "dropout": not drops and "the network has no dropout",
    }.get(wanted)
    if lacks:
        message = f"{ensemble.name}: no interval by {wanted}, since {lacks}."
        report(Progress("warning", message))
        return "none"
    return wanted


def _sum_up(
    ensemble: Ensemble, answers: list[Answer], method: Method, level: float
) -> Prediction:
    first, reference = answers[0], ensemble.reference
    summed = estimate(
        [one.value for one in answers],
        first.looks,
        method,
        ensemble.card.kind == "binary",
        level,
        reference.residuals,
    )
    return Prediction(
        first.scan,
        ensemble,
        summed,
        percentile_among_all(summed.value, reference),
        percentiles(summed.value, reference),
        doubts_about(first.scan, first.profile, summed.value, ensemble),
    )


def _warn_if_seen(cohort: Cohort, ensemble: Ensemble, report: Report) -> None:
    for model in ensemble.members:
        warn_if_seen(cohort, model.card, report)


def warn_if_seen(cohort: Cohort, card: ModelCard, report: Report) -> None:
    """Warn of participants whom the model saw while it was trained."""
    people = sorted({scan.participant for scan in cohort.scans})
    for split in ("train", "validation"):
        seen = [name for name in people if card.cohort.split_of(name) == split]
        if seen:
            shown = ", ".join(seen[:5]) + (", …" if len(seen) > 5 else "")
            message = (
                f"{len(seen)} of {len(people)} participants ({shown}) have the id of "
                f"someone in the model's {split} set. If they are the same people, "
                "their predictions look better than they would for new ones."
            )
            report(Progress("warning", message, values={"participants": seen}))


def _cannot(ensemble: Ensemble, reason: str, report: Report) -> Failure:
    report(Progress("warning", f"{ensemble.name} is left out. {reason}"))
    return Failure(ensemble.name, reason)


def _finish(
    config: PredictConfig,
    ensembles: list[Ensemble],
    predictions: list[Prediction],
    failures: list[Failure],
    report: Report,
) -> Outcome:
    """Write table and JSON, and say what was done."""
    output = Path(config.output)
    write_predictions(output, ensembles, predictions, config.level)
    results = {
        "predictions": str(output / TABLE),
        "prediction_report": str(output / REPORT),
    }
    for kind, path in results.items():
        report(Progress("result", values={"kind": kind, "path": path}))
    failures = list(dict.fromkeys(failures))
    done = len({one.scan.key for one in predictions})
    lost = len({one.item for one in failures})
    asked = dict.fromkeys(one.ensemble.card.task.name for one in predictions)
    doubtful = sum(bool(one.doubts) for one in predictions)
    message = f"Predicted {', '.join(asked)} for {done} of {done + lost} scans."
    if doubtful:
        message += f" {doubtful} of {len(predictions)} predictions come with warnings."
    return Outcome(f"{message} {RESEARCH_USE.split('.')[0]}.", tuple(failures), results)
