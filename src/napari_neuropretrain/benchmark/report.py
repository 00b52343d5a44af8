"""One page with everything that a benchmark found; it needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_neuropretrain.benchmark.gather import BASELINE
from napari_neuropretrain.benchmark.results import Results
from napari_neuropretrain.benchmark.statements import state
from napari_neuropretrain.benchmark.tables import Table
from napari_neuropretrain.config.benchmarking import BenchmarkConfig
from napari_neuropretrain.evaluation.figures import CAPTIONS
from napari_neuropretrain.evaluation.people import (
    PEOPLE,
    PEOPLE_NOTE,
    describe_people,
)
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.progress import Failure
from napari_neuropretrain.reporting.figures import embedded
from napari_neuropretrain.reporting.page import (
    REPORT,
    preformatted,
    section,
    statements,
    warning,
    write_page,
)
from napari_neuropretrain.reporting.provenance import provenance, sha256_of
from napari_neuropretrain.reporting.tables import html_table

_CAPTIONS = CAPTIONS | {
    "spider": "Test performance of the best settings; outside is better.",
    "ablation": "By share of the training part; bars are 95 % intervals.",
    "transfer": "What pre-training changed.",
    "roc": "ROC curves, means over seeds.",
    "predicted": "One point is one scan; the first seed.",
    "gap": "One point is one scan; the first seed of the best setting.",
    "training": "Losses by epoch.",
    "occlusion": "Mean change of the output when a place is hidden; the strongest 5 % "
    "of the brain, slices through the strongest place. Red: hiding it lowers the "
    "output. Each map has a colour scale of its own.",
}


def write_report(
    output: Path,
    results: Results,
    tables: Sequence[Table],
    figures: Mapping[str, Path],
    config: BenchmarkConfig,
    failures: Sequence[Failure],
) -> Path:
    """Write ``report.html``; its pictures are inside it.

    Parameters
    ----------
    output
        Folder of the benchmark.
    results, tables, figures
        What was found; figures by name.
    config
        For the exact command.
    failures
        Cells that are not there.
    """
    plan = config.plan.read_text(encoding="utf-8")
    facts = _facts(results, config)
    versions = results.trained[0].card.versions
    parts = (
        warning(""),
        section("What came out", statements(state(results))),
        section("What failed", _failures(failures)),
        section("Cohorts", _cohorts(results)),
        *(_table(one) for one in tables if one.name != "cost"),
        *(_figure(name, path) for name, path in figures.items()),
        *(_table(one) for one in tables if one.name == "cost"),
        provenance("benchmark", config, facts, versions),
        section("Plan", preformatted(plan)),
    )
    return write_page(output / REPORT, results.plan.title, parts)


def _failures(failures: Sequence[Failure]) -> str:
    rows = [(one.item, one.reason) for one in failures]
    return html_table(("cell", "reason"), rows, note="The tables are without these.")


def _cohorts(results: Results) -> str:
    """Describe who was tested, and how many there were to learn from."""
    rows = []
    for task in results.tasks():
        for cohort in results.cohorts(task):
            if (given := _any_predictions(results, task, cohort)) is not None:
                start = (task, cohort, *_learned(results, task, cohort))
                rows.append((*start, *describe_people(given)))
    header = ("task", "cohort", "training", "validation", *PEOPLE)
    return html_table(header, rows, note=f"{PEOPLE_NOTE[:-1]} of the test.")


def _any_predictions(results: Results, task: str, cohort: str) -> Predictions | None:
    for setting in results.settings(task, results.fractions(task)[0]):
        seeds = results.seeds.get(setting, {}).get(cohort)
        if seeds and setting.initialisation != BASELINE:
            return seeds[min(seeds)]
    return None


def _learned(results: Results, task: str, cohort: str) -> tuple[str, str]:
    """Return the number of scans of training and validation."""
    for one in results.trained:
        setting = one.cell.setting
        share = results.fractions(task)[0]
        if (setting.task, one.cell.cohort, setting.fraction) == (task, cohort, share):
            metrics = one.card.metrics
            return str(metrics["train"]["n"]), str(metrics["validation"]["n"])
    return "0", "0"


def _table(table: Table) -> str:
    worse = {
        number
        for number, row in enumerate(table.rows)
        if "hurt" in row or any("▼" in cell for cell in row)
    }
    text = html_table(table.header, table.rows, note=table.note, marked=worse)
    return section(table.title, text)


def _figure(name: str, path: Path) -> str:
    kind, _, place = name.partition("_")
    where = f"{place.replace('_', ', ')}. " if place else ""
    return embedded(path, where + _CAPTIONS.get(kind, ""))


def _facts(results: Results, config: BenchmarkConfig) -> dict[str, str]:
    facts = {"plan, SHA-256": sha256_of(config.plan)}
    for one in results.trained:
        digest = str(one.card.training.get("splits", {}).get("sha256", ""))
        facts[f"who is in which part, {one.cell.cohort}"] = digest
    return facts
