"""The job ``evaluate``: judge models, compare them, and say what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_neuropretrain.config.evaluation import EvaluateConfig
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.evaluation.assessment import PRIMARY, Certainty, assess
from napari_neuropretrain.evaluation.comparison import (
    Difference,
    compare_all,
    sentence,
)
from napari_neuropretrain.evaluation.groups import assess_groups
from napari_neuropretrain.evaluation.model_source import (
    ModelSource,
    read_models,
    with_baselines,
)
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.evaluation.report import write_report
from napari_neuropretrain.evaluation.tables import Judged, write_tables
from napari_neuropretrain.evaluation.zero_shot import can_predict, predict_cohort
from napari_neuropretrain.progress import Failure, Outcome, Progress, Report
from napari_neuropretrain.reporting.safely import write_safely


def evaluate(config: EvaluateConfig, report: Report) -> Outcome:
    """Judge each model on its test part and on other cohorts, and compare them.

    Parameters
    ----------
    config
        Models, cohorts, groups, and how certainty is found.
    report
        Hears a ``metric`` for each sentence; may raise `Cancelled`.

    Returns
    -------
    Outcome
        The sentences; scans that could not be used are its failures.

    Raises
    ------
    CheckpointError
        If a model cannot be read or applied.
    CohortError
        If a cohort or a table cannot be used, or there is nothing to judge.
    LeakageError
        If a model learned from someone of a cohort.
    """
    certainty = Certainty(
        config.bootstraps,
        config.permutations,
        config.confidence,
        config.calibration_bins,
        config.seed,
    )
    models = read_models([str(config.model), *config.others], config.positive)
    if config.baselines:
        models = with_baselines(models)
    given, failures = _gather(models, config, report)
    judged = []
    for index, one in enumerate(given):
        message = f"Judging {one.model} on {one.cohort}"
        report(Progress("step", message, index, len(given)))
        groups = assess_groups(one, config.group_by, config.smallest_group, certainty)
        judged.append(Judged(one, assess(one, certainty), groups))
    differences = _compare(given, certainty, report)
    files = write_tables(Path(config.output), judged, differences, certainty)
    sentences = [_describe(one, config.confidence) for one in judged]
    sentences += _verdicts(differences, given, config.confidence)
    for said in sentences:
        report(Progress("metric", said))
    for kind, path in files.items():
        report(Progress("result", values={"kind": kind, "path": str(path)}))
    page = write_safely(
        lambda: write_report(config, models, judged, differences, sentences, failures),
        report,
    )
    files |= {} if page is None else {"report": page}
    results = {kind: str(path) for kind, path in files.items()}
    return Outcome(_summary(judged), tuple(failures), results)


def _gather(
    models: Sequence[ModelSource], config: EvaluateConfig, report: Report
) -> tuple[list[Predictions], list[Failure]]:
    """Return the test part of each model, and each model on each other cohort."""
    given = [one.tested for one in models if one.tested is not None]
    given = [one for one in given if one.labels.size]
    failures: list[Failure] = []
    for path in config.cohorts:
        for model in (one for one in models if can_predict(one, config.regions)):
            found, lost = predict_cohort(model, path, config, report)
            given.append(found)
            failures += [one for one in lost if one not in failures]
    if not given:
        raise CohortError(
            "There is nothing to judge: none of the models has a predictions.tsv with "
            "test scans beside it. Give a cohort to test on (--cohorts)."
        )
    return given, failures


def _compare(
    given: Sequence[Predictions], certainty: Certainty, report: Report
) -> list[Difference]:
    """Compare the models on each cohort; those that cannot be are a warning."""
    found: list[Difference] = []
    if not certainty.bootstraps:
        return found
    for cohort in dict.fromkeys(one.cohort for one in given):
        here = [one for one in given if one.cohort == cohort]
        try:
            found += compare_all(here, certainty)
        except CohortError as error:
            report(Progress("warning", str(error)))
    return found


def _describe(judged: Judged, level: float) -> str:
    """Say how one model did on one cohort."""
    given, found = judged.given, judged.assessment
    metric = PRIMARY[given.kind]
    value, interval = found.values[metric], found.intervals.get(metric)
    name = {"roc_auc": "ROC-AUC", "mae": "mean absolute error"}[metric]
    unit = f" {given.unit}" if given.kind == "regression" and given.unit else ""
    digits = 3 if given.kind == "binary" else 2
    start = f"{given.model} on {given.cohort} ({found.n_participants} participants)"
    if value is None:
        return f"{start}: only one group is there, so no {name}."
    limits, p = "", ""
    if interval is not None:
        low, high = interval
        limits = f" ({level:.0%} interval {low:.{digits}f} to {high:.{digits}f})"
    if found.p_chance is not None:
        p = f", p against chance {found.p_chance:.2g}"
    return f"{start}: {name} {value:.{digits}f}{unit}{limits}{p}."


def _verdicts(
    differences: Sequence[Difference], given: Sequence[Predictions], level: float
) -> list[str]:
    """Say for each pair of models which is better by the primary metric."""
    kinds = {(one.cohort, one.model): one for one in given}
    said = []
    for row in differences:
        one = kinds[row.cohort, row.one]
        if row.metric == PRIMARY[one.kind]:
            unit = one.unit if one.kind == "regression" else ""
            said.append(sentence(row, unit, level))
    return said


def _summary(judged: Sequence[Judged]) -> str:
    models = sorted({one.given.model for one in judged})
    cohorts = sorted({one.given.cohort for one in judged})
    return f"Judged {', '.join(models)} on {', '.join(cohorts)}."
