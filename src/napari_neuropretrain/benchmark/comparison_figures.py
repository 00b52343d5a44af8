"""Figures that compare settings: the paper's Figures 2 and 3."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.drawing import colour_of, marker_of
from napari_neuropretrain.benchmark.gather import BASELINE
from napari_neuropretrain.benchmark.results import TITLES, Results
from napari_neuropretrain.evaluation.assessment import PRIMARY
from napari_neuropretrain.evaluation.weighted import LOWER_IS_BETTER
from napari_neuropretrain.reporting.drawing import COLOURS, GREY, new_figure, panels

_MOST = 6
_SPOKES = {
    "binary": ("roc_auc", "accuracy", "sensitivity", "specificity"),
    "regression": ("r", "r2"),
}


def draw_spider(results: Results, task: str) -> Figure:
    """Draw the best settings on a task as polygons; outside is better (Figure 2).

    For numbers, errors are drawn as skill: 1 less the mean absolute error divided by
    that of the same answer, the median, for everyone.
    """
    settings = best_settings(results, task, _MOST)
    spokes = _spokes(results, task)
    figure = new_figure(7.5, 4.6)
    axis: Any = figure.subplots(subplot_kw={"projection": "polar"})
    angles = np.linspace(0, 2 * math.pi, len(spokes), endpoint=False)
    for index, setting in enumerate(settings):
        radii = [_radius(results, setting, *one) for one in spokes]
        colour = COLOURS[index % len(COLOURS)]
        closed = [*angles, angles[0]], [*radii, radii[0]]
        marker = marker_of(setting, list(results.plan.backbones))
        axis.plot(*closed, color=colour, marker=marker, ms=4, label=setting.title)
        if not any(map(math.isnan, radii)):  # not tested everywhere
            axis.fill(*closed, color=colour, alpha=0.06)
    axis.set_ylim(0, 1)
    axis.set_yticks([0.25, 0.5, 0.75, 1], ["", "0.5", "", "1"], color=GREY)
    axis.set_xticks(angles, [_spoke_title(results, task, *one) for one in spokes])
    axis.tick_params(axis="x", pad=14)
    axis.spines["polar"].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.suptitle(f"{task}: test performance")
    return figure


def best_settings(results: Results, task: str, most: int) -> list[Setting]:
    """Return the settings with all data that are best on the task's own test part."""
    metric, own = PRIMARY[results.kinds[task]], results.cohorts(task)[0]
    share = results.fractions(task)[0]
    found = results.settings(task, share)
    sign = 1 if metric in LOWER_IS_BETTER else -1
    found.sort(key=lambda one: sign * results.summaries[one, own][metric].mean)
    return found[:most]


def _spokes(results: Results, task: str) -> list[tuple[str, str]]:
    own, *others = results.cohorts(task)
    kind = results.kinds[task]
    tested = [one for one in others if any(key[1] == one for key in results.summaries)]
    primary = [PRIMARY[kind]] if kind == "regression" else []
    spokes = [(own, name) for name in [*primary, *_SPOKES[kind]]]
    return spokes + [(one, PRIMARY[kind]) for one in tested]


def _spoke_title(results: Results, task: str, cohort: str, metric: str) -> str:
    name = "skill" if metric == "mae" else TITLES.get(metric, metric)
    zero_shot = "" if cohort == results.cohorts(task)[0] else "\n(0-shot)"
    return f"{name}\n{cohort}{zero_shot}"


def _radius(results: Results, setting: Setting, cohort: str, metric: str) -> float:
    found = results.summaries.get((setting, cohort), {}).get(metric)
    if found is None:
        return math.nan
    if metric == "mae":
        labels = next(iter(results.seeds[setting][cohort].values())).labels
        constant = float(np.abs(labels - np.median(labels)).mean())
        return max(0.0, 1 - found.mean / constant) if constant else 0.0
    return max(0.0, found.mean)


def draw_ablation(results: Results, task: str) -> Figure:
    """Draw the primary metric over the share of the training part, with intervals."""
    metric, own = PRIMARY[results.kinds[task]], results.cohorts(task)[0]
    figure = new_figure(7.0, 3.8)
    axis = figure.subplots()
    starts = dict.fromkeys(
        (one.backbone, one.initialisation, one.tuning) for one in results.settings(task)
    )
    for index, start in enumerate(starts):
        settings = [
            Setting(task, *start, share) for share in results.fractions(task)[::-1]
        ]
        _line(axis, results, settings, own, metric, 1 + 0.015 * index)
    axis.set_xscale("log")
    ticks = results.fractions(task)
    axis.set_xticks(ticks, [f"{100 * one:g} %" for one in ticks])
    axis.minorticks_off()
    axis.set_xlabel("share of the training part")
    axis.set_ylabel(_axis_title(results, task, metric))
    axis.set_title(f"{task} on {own}")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _line(
    axis: Any,
    results: Results,
    settings: list[Setting],
    cohort: str,
    metric: str,
    shift: float,
) -> None:
    """Draw one setting over the shares; `shift` keeps intervals side by side."""
    found = [
        (one.fraction * shift, results.summaries[one, cohort][metric])
        for one in settings
        if (one, cohort) in results.summaries
    ]
    if not found:
        return
    means = [one.mean for _, one in found]
    bounds = [one.interval or (one.mean, one.mean) for _, one in found]
    pairs = list(zip(means, bounds, strict=True))
    errors = [
        [max(0.0, mean - low) for mean, (low, _) in pairs],
        [max(0.0, high - mean) for mean, (_, high) in pairs],
    ]
    first = settings[0]
    axis.errorbar(
        [share for share, _ in found],
        means,
        yerr=errors,
        color=colour_of(first, list(results.plan.initialisations)),
        marker=marker_of(first, list(results.plan.backbones)),
        linestyle="--" if first.initialisation in ("scratch", BASELINE) else "-",
        capsize=2,
        ms=5,
        lw=1.2,
        label=first.title,
    )


def draw_transfer(results: Results, task: str) -> Figure:
    """Draw what each initialisation adds to scratch, by share (Figure 3).

    A line from scratch to the initialisation, red where it is worse, thick where that
    is hardly chance (`Transfer.verdict`).
    """
    own = results.cohorts(task)[0]
    found = [
        one
        for one in results.transfers
        if one.setting.task == task and one.cohort == own
    ]
    shares = sorted({one.setting.fraction for one in found}, reverse=True)
    most = max(sum(one.setting.fraction == share for one in found) for share in shares)
    figure = new_figure(7.0, len(shares) * (1.1 + 0.32 * most))
    for axis, share in zip(panels(figure, len(shares), 1), shares, strict=True):
        here = [one for one in found if one.setting.fraction == share]
        for row, one in enumerate(here):
            colour = "#c0392b" if one.negative else "#2e7d32"
            sure = one.verdict != "no difference shown"
            ends = (one.scratch, one.started)
            axis.plot(ends, (row, row), color=colour, lw=3.5 if sure else 1.2, zorder=1)
            axis.scatter(one.scratch, row, s=40, color="white", edgecolor=GREY)
            axis.scatter(one.started, row, s=40, color=colour)
        axis.set_yticks(range(len(here)), [one.setting.title for one in here])
        axis.set_ylim(len(here) - 0.4, -0.6)
        axis.margins(x=0.1)
        axis.set_title(f"{task} on {own}, {100 * share:g} % of the training part")
    axis.set_xlabel(
        f"{_axis_title(results, task, found[0].metric)}: ○ from scratch, ● "
        "pre-trained; red: worse, thick: hardly chance"
    )
    return figure


def _axis_title(results: Results, task: str, metric: str) -> str:
    unit = results.units.get(task, "")
    shown = f" ({unit})" if unit and results.kinds[task] == "regression" else ""
    return f"{TITLES.get(metric, metric)}{shown}"
