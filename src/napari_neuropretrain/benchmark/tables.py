"""The tables of a benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.results import (
    TITLES,
    Results,
    number_text,
)
from napari_neuropretrain.benchmark.summary import Summary, Transfer
from napari_neuropretrain.evaluation.assessment import PRIMARY
from napari_neuropretrain.evaluation.predictions import Kind

SHOWN: Mapping[Kind, tuple[str, ...]] = {
    "binary": ("roc_auc", "accuracy", "sensitivity", "specificity"),
    "regression": ("mae", "rmse", "r", "r2"),
}
"""Metrics of Table 2."""
_START = ("backbone", "initialisation", "tuning")


@dataclass(frozen=True)
class Table:
    """Cells of text under a heading.

    Parameters
    ----------
    name
        Of its files.
    title, note
        Over and under it.
    header, rows
        All of the same length.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def make_tables(results: Results) -> tuple[Table, ...]:
    """Return the paper's Tables 2 to 4, transfer, and the cost of each cell."""
    return (
        *(table_two(results, task) for task in results.tasks()),
        table_three(results),
        table_four(results),
        transfer_table(results),
        cost_table(results),
    )


def table_two(results: Results, task: str) -> Table:
    """Return test performance by backbone and initialisation, with all data."""
    metrics = SHOWN[results.kinds[task]]
    own, *others = results.cohorts(task)
    primary = PRIMARY[results.kinds[task]]
    places = [(own, name) for name in metrics] + [(one, primary) for one in others]
    header = [f"{cohort} {TITLES.get(name, name)}" for cohort, name in places]
    for index in range(len(metrics), len(header)):
        header[index] += " (0-shot)"
    share = results.fractions(task)[0]
    rows = [
        (*_start(one), *(_cell(results, one, *place) for place in places))
        for one in results.settings(task, share)
    ]
    title = f"Table 2. {task}: test performance by backbone and initialisation"
    return Table(f"table2_{task}", title, (*_START, *header), tuple(rows), _NOTE)


_NOTE = (
    "Mean over seeds ± standard deviation over seeds, and the 95 % interval of the "
    "mean by bootstrap over participants. ▼: worse than the same network from scratch "
    "(paired 95 % interval without 0, and p below 0.05); ▽: worse, but that may be "
    "chance; ▲: better, as certainly as ▼. In brackets: published."
)


def table_three(results: Results) -> Table:
    """Return every task on its own cohort and, as they are, on the others."""
    places = [
        (task, cohort, PRIMARY[results.kinds[task]])
        for task in results.tasks()
        for cohort in results.cohorts(task)
    ]
    header = [
        f"{task}: {TITLES.get(metric, metric)}, {cohort}"
        + (" (0-shot)" if cohort != results.plan.tasks[task].cohort else "")
        for task, cohort, metric in places
    ]
    starts = dict.fromkeys(
        _start(one) for task in results.tasks() for one in results.settings(task)
    )
    rows = []
    for start in starts:
        cells = []
        for task, cohort, metric in places:
            share = results.fractions(task)[0]
            setting = Setting(task, *start, share)
            cells.append(_cell(results, setting, cohort, metric))
        rows.append((*start, *cells))
    title = "Table 3. Tasks, and generalisation to other cohorts without training"
    return Table("table3", title, (*_START, *header), tuple(rows), _NOTE)


def table_four(results: Results) -> Table:
    """Return the primary metric by share of the training part."""
    tasks = results.tasks()
    shares = sorted({one for task in tasks for one in results.fractions(task)})
    header = ("task", "metric", *_START, *(f"{100 * one:g} %" for one in shares[::-1]))
    rows = []
    for task in tasks:
        metric, own = PRIMARY[results.kinds[task]], results.cohorts(task)[0]
        for start in dict.fromkeys(_start(one) for one in results.settings(task)):
            cells = [
                _cell(results, Setting(task, *start, share), own, metric)
                for share in shares[::-1]
            ]
            rows.append((task, TITLES.get(metric, metric), *start, *cells))
    title = "Table 4. Test performance by share of the training part"
    return Table("table4", title, header, tuple(rows), _NOTE)


def transfer_table(results: Results) -> Table:
    """Return each initialisation beside scratch; negative transfer is flagged."""
    header = (
        *("task", *_START, "training part", "cohort", "metric", "scratch"),
        *("started", "difference", "low", "high", "p", "p (Holm)"),
        *("negative transfer", "verdict"),
    )
    rows = []
    for one in results.transfers:
        low, high = one.interval or (math.nan, math.nan)
        place, metric = one.setting, one.metric
        numbers = (one.scratch, one.started, one.difference, low, high)
        share = f"{100 * place.fraction:g} %"
        said = ("yes" if one.negative else "no", one.verdict)
        row = (
            place.task,
            *_start(place),
            share,
            one.cohort,
            TITLES.get(metric, metric),
        )
        texts = [number_text(value, metric) for value in numbers]
        rows.append((*row, *texts, f"{one.p:.2g}", f"{one.p_holm:.2g}", *said))
    note = (
        "Difference: started less scratch, on the same people and seeds, with its 95 % "
        "interval by paired bootstrap over participants. Negative transfer: worse than "
        "scratch; the verdict also asks for an interval without 0 and p below 0.05."
    )
    title = "What pre-training changed"
    return Table("transfer", title, header, tuple(rows), note)


def cost_table(results: Results) -> Table:
    """Return time and memory of each cell."""
    header = (
        *("task", *_START, "training part", "seed", "minutes", "peak memory (MiB)"),
        *("memory of", "trained parameters", "volumes/s", "epochs"),
    )
    names = ("peak_memory_mib", "memory_of", "trainable_parameters", "samples_per_s")
    rows = []
    for one in results.trained:
        place, cost = one.cell.setting, one.cost
        row = (place.task, *_start(place), f"{100 * place.fraction:g} %")
        minutes = f"{float(cost.get('wall_s', math.nan)) / 60:.2f}"
        facts = [str(cost.get(name, "n/a")) for name in names]
        epochs = str(one.card.training.get("epochs_run", "n/a"))
        rows.append((*row, str(one.cell.seed), minutes, *facts, epochs))
    return Table("cost", "Time and memory of each cell", header, tuple(rows))


def _start(setting: Setting) -> tuple[str, str, str]:
    return setting.backbone, setting.initialisation, setting.tuning


def _cell(results: Results, setting: Setting, cohort: str, metric: str) -> str:
    """Write one number with its spread, its interval, its mark and the published."""
    found = results.summaries.get((setting, cohort), {}).get(metric)
    printed = results.printed(setting, cohort, metric)
    text = "n/a" if found is None else _text(found, metric)
    one = results.transfer(setting, cohort)
    if one is not None and one.metric == metric:
        text += _mark(one)
    return text if printed is None else f"{text} [{printed}]"


def _mark(one: Transfer) -> str:
    if one.verdict == "helped":
        return " ▲"
    return "" if not one.negative else " ▼" if one.verdict == "hurt" else " ▽"


def _text(found: Summary, metric: str) -> str:
    text = number_text(found.mean, metric)
    if math.isfinite(found.sd):
        text += f" ± {number_text(found.sd, metric)}"
    if found.interval is not None:
        low, high = (number_text(bound, metric) for bound in found.interval)
        text += f" ({low} to {high})"
    return text
