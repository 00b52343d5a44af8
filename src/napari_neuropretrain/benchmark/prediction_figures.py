"""Figures of predictions: ROC, calibration, ages, gaps; and of trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.comparison_figures import best_settings
from napari_neuropretrain.benchmark.curves import GRID, calibration, roc_band
from napari_neuropretrain.benchmark.drawing import (
    COLOURS,
    GREY,
    colour_of,
    new_figure,
    panel_size,
    panels,
)
from napari_neuropretrain.benchmark.gather import BASELINE
from napari_neuropretrain.benchmark.results import Results, number_text
from napari_neuropretrain.evaluation.groups import UNKNOWN, group_names
from napari_neuropretrain.evaluation.predictions import Predictions

_MOST = 6
_LEAST_IN_GROUP = 3


def _by_backbone(results: Results, task: str, cohort: str) -> dict[str, list[Setting]]:
    """Return the settings with all data that were tested on a cohort."""
    found: dict[str, list[Setting]] = {}
    for one in results.settings(task, results.fractions(task)[0]):
        if cohort in results.seeds.get(one, {}):
            title = "linear models" if one.initialisation == BASELINE else one.backbone
            found.setdefault(title, []).append(one)
    return found


def _label(setting: Setting) -> str:
    if setting.initialisation == BASELINE:
        return setting.backbone
    tuned = "" if setting.tuning == "full" else f", {setting.tuning}"
    return setting.initialisation + tuned


def _colour(results: Results, setting: Setting, index: int) -> str:
    if setting.initialisation == BASELINE or setting.tuning != "full":
        return COLOURS[index % len(COLOURS)]
    return colour_of(setting, list(results.plan.initialisations))


def draw_roc(results: Results, task: str, cohort: str) -> Figure:
    """Draw the ROC curve of each setting, with the band of its 95 % interval."""
    groups = _by_backbone(results, task, cohort)
    figure = new_figure(*panel_size(len(groups), edge=3.3))
    for axis, (title, settings) in zip(
        panels(figure, len(groups)), groups.items(), strict=True
    ):
        axis.plot((0, 1), (0, 1), color=GREY, lw=0.8, ls=":")
        for index, one in enumerate(settings):
            band = roc_band(list(results.seeds[one][cohort].values()), results.level)
            colour = _colour(results, one, index)
            area = results.summaries[one, cohort]["roc_auc"].mean
            label = f"{_label(one)}: {number_text(area, 'roc_auc')}"
            axis.plot(GRID, band.mean, color=colour, lw=1.5, label=label)
            axis.fill_between(GRID, band.low, band.high, color=colour, alpha=0.15, lw=0)
        _square(axis, title, "false positive rate", "true positive rate")
        axis.legend(loc="lower right", fontsize=7, frameon=False)
    figure.suptitle(f"{task} on {cohort}: ROC, 95 % band over participants")
    return figure


def draw_calibration(results: Results, task: str, cohort: str) -> Figure:
    """Draw how often those with a probability are positive; seeds together."""
    groups = _by_backbone(results, task, cohort)
    figure = new_figure(*panel_size(len(groups), edge=3.3))
    for axis, (title, settings) in zip(
        panels(figure, len(groups)), groups.items(), strict=True
    ):
        axis.plot((0, 1), (0, 1), color=GREY, lw=0.8, ls=":")
        for index, one in enumerate(settings):
            points = calibration(list(results.seeds[one][cohort].values()))
            said, true, counts = (np.array(each) for each in zip(*points, strict=True))
            colour = _colour(results, one, index)
            error = results.summaries[one, cohort]["calibration_error"].mean
            label = f"{_label(one)}: error {error:.2f}"
            axis.plot(said, true, color=colour, lw=1, label=label)
            axis.scatter(said, true, s=6 + 60 * counts / counts.sum(), color=colour)
        _square(axis, title, "predicted probability", "share of positives")
        axis.legend(loc="lower right", fontsize=7, frameon=False)
    figure.suptitle(f"{task} on {cohort}: calibration")
    return figure


def _square(axis: Any, title: str, x: str, y: str) -> None:
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)


def draw_ages(results: Results, task: str, cohort: str) -> Figure:
    """Draw predicted over true values of the best settings; the first seed."""
    settings = _tested(results, task, cohort)
    figure = new_figure(*panel_size(len(settings), edge=3.0))
    given = [_first(results, one, cohort) for one in settings]
    every = np.concatenate([np.append(one.labels, one.values) for one in given])
    margin = 0.04 * np.ptp(every)
    limits = (float(every.min() - margin), float(every.max() + margin))
    for axis, setting, one in zip(
        panels(figure, len(settings)), settings, given, strict=True
    ):
        axis.plot(limits, limits, color=GREY, lw=0.8, ls=":")
        axis.scatter(one.labels, one.values, s=9, alpha=0.6, color=COLOURS[0], lw=0)
        error = number_text(float(np.abs(one.values - one.labels).mean()), "mae")
        axis.set(xlim=limits, ylim=limits, aspect="equal")
        axis.set_title(f"{setting.title}\nMAE {error} {one.unit}", fontsize=8)
        axis.set_xlabel(f"true ({one.unit})" if one.unit else "true")
        axis.set_ylabel("predicted")
    figure.suptitle(f"{task} on {cohort}: predicted and true")
    return figure


def _tested(results: Results, task: str, cohort: str) -> list[Setting]:
    ranked = best_settings(results, task, 100)
    return [one for one in ranked if cohort in results.seeds.get(one, {})][:_MOST]


def _first(results: Results, setting: Setting, cohort: str) -> Predictions:
    seeds = results.seeds[setting][cohort]
    return seeds[min(seeds)]


def draw_gaps(results: Results, task: str, cohort: str) -> Figure | None:
    """Draw predicted less true values of the best setting, by group.

    After the correction of the age bias, where the validation part was large enough
    for one. None where no column has two groups.
    """
    setting = _tested(results, task, cohort)[0]
    one = _first(results, setting, cohort)
    values = (
        one.values if one.bias is None else one.bias.correct(one.values, one.labels)
    )
    gaps = values - one.labels
    columns = {
        name: groups
        for name in one.columns
        if len(groups := _groups(name, one, gaps)) > 1
    }
    if not columns:
        return None
    widths = [len(groups) for groups in columns.values()]
    figure = new_figure(max(4.5, 0.75 * sum(widths) + 1.2), 3.4)
    axes: Any = figure.subplots(
        1, len(columns), squeeze=False, sharey=True, width_ratios=widths
    )[0]
    for axis, (name, groups) in zip(axes, columns.items(), strict=True):
        axis.axhline(0, color=GREY, lw=0.8, ls=":")
        axis.boxplot(list(groups.values()), widths=0.55, showfliers=False)
        for place, found in enumerate(groups.values(), 1):
            spread = np.random.default_rng(0).uniform(-0.15, 0.15, found.size)
            axis.scatter(place + spread, found, s=5, alpha=0.5, color=COLOURS[0], lw=0)
        names = [f"{group}\nn={found.size}" for group, found in groups.items()]
        axis.set_xticks(range(1, len(groups) + 1), names, fontsize=7)
        axis.set_title(name)
    unit = f" ({one.unit})" if one.unit else ""
    axes[0].set_ylabel(f"predicted less true{unit}")
    done = "" if one.bias is None else ", corrected for age bias"
    figure.suptitle(f"{task} on {cohort}: gap of {setting.title}{done}", fontsize=9)
    return figure


def _groups(name: str, one: Predictions, gaps: Any) -> dict[str, Any]:
    texts = group_names(name, one.columns[name])
    found = {group: gaps[texts == group] for group in sorted(set(texts.tolist()))}
    return {
        group: values
        for group, values in found.items()
        if group != UNKNOWN and values.size >= _LEAST_IN_GROUP
    }


def draw_trainings(results: Results, task: str) -> Figure:
    """Draw the losses of each setting with all data, a line for each seed."""
    share = results.fractions(task)[0]
    cells: dict[Setting, list[Any]] = {}
    for one in results.trained:
        place = one.cell.setting
        if place.task == task and place.fraction == share and one.epochs:
            cells.setdefault(place, []).append(one)
    figure = new_figure(*panel_size(max(1, len(cells)), edge=2.7))
    for axis, (setting, seeds) in zip(
        panels(figure, len(cells)), cells.items(), strict=True
    ):
        for number, one in enumerate(seeds):
            epochs = [values["epoch"] for values in one.epochs]
            for name, colour, word in (
                ("loss", COLOURS[0], "training"),
                ("validation_loss", COLOURS[1], "validation"),
            ):
                losses = [values.get(name, np.nan) for values in one.epochs]
                label = word if number == 0 else None
                axis.plot(epochs, losses, color=colour, lw=1, alpha=0.8, label=label)
        axis.set_title(setting.title, fontsize=8)
        axis.set_xlabel("epoch")
        axis.set_ylabel("loss")
    if cells:
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle(f"{task}: trainings, a line for each seed")
    return figure
