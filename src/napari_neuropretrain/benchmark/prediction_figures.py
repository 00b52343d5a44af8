"""Figures of what the settings of a benchmark predicted, and of their trainings."""

from __future__ import annotations

from matplotlib.figure import Figure

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.comparison_figures import best_settings
from napari_neuropretrain.benchmark.drawing import colour_of
from napari_neuropretrain.benchmark.gather import BASELINE
from napari_neuropretrain.benchmark.results import Results, number_text
from napari_neuropretrain.evaluation import figures
from napari_neuropretrain.evaluation.figures import Line
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.reporting.drawing import COLOURS
from napari_neuropretrain.reporting.trainings import Epochs, draw_losses

_MOST = 6


def draw_roc(results: Results, task: str, cohort: str) -> Figure:
    """Draw the ROC curve of each setting, with the band of its 95 % interval."""
    lines = _lines(results, task, cohort, "roc_auc", "")
    title = f"{task} on {cohort}: ROC, 95 % band over participants"
    return figures.draw_roc(lines, title, results.level)


def draw_calibration(results: Results, task: str, cohort: str) -> Figure:
    """Draw how often those with a probability are positive; seeds together."""
    lines = _lines(results, task, cohort, "calibration_error", "error ")
    return figures.draw_calibration(lines, f"{task} on {cohort}: calibration")


def _lines(
    results: Results, task: str, cohort: str, metric: str, word: str
) -> dict[str, list[Line]]:
    """Return the settings with all data that were tested on a cohort, by backbone."""
    found: dict[str, list[Line]] = {}
    for one in results.settings(task, results.fractions(task)[0]):
        if cohort not in results.seeds.get(one, {}):
            continue
        title = "linear models" if one.initialisation == BASELINE else one.backbone
        beside = found.setdefault(title, [])
        value = number_text(results.summaries[one, cohort][metric].mean, metric)
        seeds = list(results.seeds[one][cohort].values())
        colour = _colour(results, one, len(beside))
        beside.append(Line(f"{_label(one)}: {word}{value}", colour, seeds))
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


def draw_ages(results: Results, task: str, cohort: str) -> Figure:
    """Draw predicted over true values of the best settings; the first seed."""
    given = {
        one.title: _first(results, one, cohort)
        for one in _tested(results, task, cohort)
    }
    return figures.draw_predicted(given, f"{task} on {cohort}: predicted and true")


def draw_gaps(results: Results, task: str, cohort: str) -> Figure | None:
    """Draw predicted less true values of the best setting, by group."""
    setting = _tested(results, task, cohort)[0]
    title = f"{task} on {cohort}: gap of {setting.title}"
    return figures.draw_gaps(_first(results, setting, cohort), title)


def _tested(results: Results, task: str, cohort: str) -> list[Setting]:
    ranked = best_settings(results, task, 100)
    return [one for one in ranked if cohort in results.seeds.get(one, {})][:_MOST]


def _first(results: Results, setting: Setting, cohort: str) -> Predictions:
    seeds = results.seeds[setting][cohort]
    return seeds[min(seeds)]


def draw_trainings(results: Results, task: str) -> Figure:
    """Draw the losses of each setting with all data, a line for each seed."""
    share = results.fractions(task)[0]
    cells: dict[str, list[Epochs]] = {}
    for one in results.trained:
        place = one.cell.setting
        if place.task == task and place.fraction == share and one.epochs:
            cells.setdefault(place.title, []).append(one.epochs)
    return draw_losses(cells, f"{task}: trainings, a line for each seed")
