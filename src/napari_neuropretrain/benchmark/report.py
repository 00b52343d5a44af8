"""One page with everything that a benchmark found; it needs no other file."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from napari_neuropretrain import __version__
from napari_neuropretrain.benchmark.gather import BASELINE
from napari_neuropretrain.benchmark.results import Results
from napari_neuropretrain.benchmark.statements import state
from napari_neuropretrain.benchmark.tables import Table
from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.benchmarking import BenchmarkConfig
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.progress import Failure
from napari_neuropretrain.resources import resource_path

PAGE = "report.html"
STYLE = "benchmark_report.css"
_CAPTIONS = {
    "spider": "Test performance of the best settings; outside is better.",
    "ablation": "By share of the training part; bars are 95 % intervals.",
    "transfer": "What pre-training changed.",
    "roc": "ROC curves, means over seeds.",
    "calibration": "Larger points stand for more scans.",
    "predicted": "One point is one scan; the first seed.",
    "gap": "One point is one scan; the first seed of the best setting.",
    "training": "Losses by epoch.",
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
    title = html.escape(results.plan.title)
    parts = (
        _head(results, failures),
        _cohorts(results),
        *(_table(one) for one in tables if one.name != "cost"),
        *(_figure(name, path) for name, path in figures.items()),
        *(_table(one) for one in tables if one.name == "cost"),
        _provenance(results, config),
    )
    style = resource_path(STYLE).read_text(encoding="utf-8")
    body = "\n".join(parts)
    write_text(
        output / PAGE,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head>\n"
        f"<body><h1>{title}</h1>\n{body}\n</body></html>\n",
    )
    return output / PAGE


def _head(results: Results, failures: Sequence[Failure]) -> str:
    said = "".join(f"<li>{html.escape(line)}</li>" for line in state(results))
    text = (
        '<p class="warn"><b>For research use only.</b></p>'
        f"<h2>What came out</h2><ul>{said}</ul>"
    )
    if failures:
        rows = tuple((one.item, one.reason) for one in failures)
        note = "The tables are without these."
        text += _table(Table("", "What failed", ("cell", "reason"), rows, note))
    return text


def _cohorts(results: Results) -> str:
    """Describe who was tested, and how many there were to learn from."""
    rows = []
    for task in results.tasks():
        for cohort in results.cohorts(task):
            if (given := _any_predictions(results, task, cohort)) is not None:
                rows.append((task, *_describe(results, task, given)))
    header = (
        *("task", "cohort", "training", "validation", "test scans", "participants"),
        *("positive", "age", "women", "sites"),
    )
    note = "Age as mean ± standard deviation (range), of the scans of the test."
    return _table(Table("", "Cohorts", header, tuple(rows), note))


def _any_predictions(results: Results, task: str, cohort: str) -> Predictions | None:
    for setting in results.settings(task, results.fractions(task)[0]):
        seeds = results.seeds.get(setting, {}).get(cohort)
        if seeds and setting.initialisation != BASELINE:
            return seeds[min(seeds)]
    return None


def _describe(results: Results, task: str, given: Predictions) -> tuple[str, ...]:
    learned = [
        one.card.metrics
        for one in results.trained
        if one.cell.setting.task == task
        and one.cell.cohort == given.cohort
        and one.cell.setting.fraction == results.fractions(task)[0]
    ]
    sizes = ("0", "0")
    if learned:
        first = learned[0]
        sizes = (str(first["train"]["n"]), str(first["validation"]["n"]))
    positive = f"{int(given.labels.sum())}" if given.kind == "binary" else ""
    return (
        given.cohort,
        *sizes,
        str(given.labels.size),
        str(given.n_participants),
        positive,
        *_people(given),
    )


def _people(given: Predictions) -> tuple[str, str, str]:
    ages = np.array([_number(text) for text in given.columns.get("age", ())])
    ages = ages[np.isfinite(ages)]
    age = ""
    if ages.size:
        age = f"{ages.mean():.1f} ± {ages.std():.1f} ({ages.min():.0f} to "
        age += f"{ages.max():.0f})"
    sexes = [text[:1].upper() for text in given.columns.get("sex", ())]
    women = str(sum(one == "F" for one in sexes)) if sexes else ""
    sites = {text for text in given.columns.get("site", ()) if text != "n/a"}
    return age, women, str(len(sites)) if sites else ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _table(table: Table) -> str:
    top = "".join(f"<th>{html.escape(name)}</th>" for name in table.header)
    lines = [f"<tr>{top}</tr>"]
    for row in table.rows:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        flagged = ' class="worse"' if "▼" in cells or ">hurt<" in cells else ""
        lines.append(f"<tr{flagged}>{cells}</tr>")
    note = f"<p><small>{html.escape(table.note)}</small></p>" if table.note else ""
    return (
        f"<h2>{html.escape(table.title)}</h2>"
        f'<div class="wide"><table>{"".join(lines)}</table></div>{note}'
    )


def _figure(name: str, path: Path) -> str:
    kind, _, place = name.partition("_")
    caption = html.escape(f"{place.replace('_', ', ')}. {_CAPTIONS.get(kind, '')}")
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _provenance(results: Results, config: BenchmarkConfig) -> str:
    words = f'neuropretrain benchmark --config "{config.output / "config.yaml"}"'
    plan = config.plan.read_text(encoding="utf-8")
    digest = hashlib.sha256(plan.encode()).hexdigest()
    versions = dict(results.trained[0].card.versions)
    versions |= {"napari-neuropretrain": __version__}
    divisions = {
        (one.cell.cohort, str(one.card.training.get("splits", {}).get("sha256", "")))
        for one in results.trained
    }
    rows = [("plan, SHA-256", digest)]
    rows += [("made", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")]
    rows += [(f"who is in which part, {name}", one) for name, one in sorted(divisions)]
    rows += [("software: " + name, one) for name, one in sorted(versions.items())]
    return (
        f"<h2>Do it again</h2><pre>{html.escape(words)}</pre>"
        + _table(Table("", "Provenance", ("what", "value"), tuple(rows)))
        + f"<h2>Plan</h2><pre>{html.escape(plan)}</pre>"
    )
