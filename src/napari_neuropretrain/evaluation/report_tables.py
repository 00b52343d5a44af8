"""Metrics, groups and comparisons as tables of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_neuropretrain.evaluation.assessment import Assessment
from napari_neuropretrain.evaluation.bootstrap import Interval
from napari_neuropretrain.evaluation.comparison import Difference
from napari_neuropretrain.evaluation.tables import Judged
from napari_neuropretrain.reporting.tables import html_table


def metrics_table(judged: Sequence[Judged], level: float) -> str:
    """Return a row for each metric, a column for each model on each cohort."""
    names = dict.fromkeys(name for one in judged for name in one.assessment.values)
    header = ["", *(f"{one.given.model} on {one.given.cohort}" for one in judged)]
    rows = [[name, *(_cell(one.assessment, name) for one in judged)] for name in names]
    chance = [one.assessment.p_chance for one in judged]
    if any(p is not None for p in chance):
        rows.append(["p against chance", *map(_p, chance)])
    note = f"In brackets: {level:.0%} interval, BCa bootstrap over participants."
    return html_table(header, rows, note=note)


def groups_table(judged: Sequence[Judged], metric: Mapping[str, str]) -> str:
    """Return the primary metric of each group.

    Parameters
    ----------
    judged
        Models on cohorts, with their groups.
    metric
        Name of the metric to show, by kind of the task.
    """
    rows = []
    for one in judged:
        name = metric[one.given.kind]
        for group in one.groups:
            found = group.assessment
            value = "too few" if found is None else _cell(found, name)
            start = (one.given.model, one.given.cohort, group.column, group.name)
            rows.append((*start, group.n_participants, name, value))
    header = ("model", "cohort", "by", "group", "participants", "metric", "value")
    return html_table(header, rows)


def comparison_table(differences: Sequence[Difference]) -> str:
    """Return each metric of each pair of models on the same people."""
    rows = [
        (
            *(row.cohort, row.one, row.other, row.metric),
            *(f"{value:.4g}" for value in (*row.values, row.difference)),
            _limits(row.interval),
            _p(row.p),
            _p(row.p_delong),
            _p(row.p_holm),
        )
        for row in differences
    ]
    header = ("cohort", "one", "other", "metric", "one", "other", "difference")
    note = "Paired bootstrap; p (Holm) is corrected for all comparisons."
    more = ("interval", "p", "p (DeLong)", "p (Holm)")
    return html_table((*header, *more), rows, note=note)


def _cell(found: Assessment, name: str) -> str:
    value = found.values.get(name)
    if value is None:
        return "n/a"
    limits = _limits(found.intervals.get(name))
    return f"{value:.4g}{f' [{limits}]' if limits else ''}"


def _limits(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}"


def _p(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2g}"
