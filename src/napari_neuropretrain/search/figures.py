"""The figure of a search: how the trials went, and which settings mattered."""

from __future__ import annotations

import warnings
from itertools import accumulate
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from napari_neuropretrain.reporting.drawing import (
    COLOURS,
    GREY,
    new_figure,
    save_figure,
    style,
)
from napari_neuropretrain.search.results import Found, value_of

NAME = "search"
_FEWEST = 4


def write_figure(output: Path, found: Found, study: Study) -> Path:
    """Write ``figures/search`` as SVG and PNG; return the PNG."""
    importances = importance_of(study, found)
    with style():
        figure = new_figure(9.0, 3.6)
        history, bars = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_history(history, found)
        _draw_importance(bars, importances)
        return save_figure(figure, output / "figures", NAME)


def importance_of(study: Study, found: Found) -> dict[str, float]:
    """Return the share of each setting in the variance of the values, by fANOVA.

    Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing
    hyperparameter importance". Empty where the trials are too few, or all are equal.
    """
    values = {value_of(one) for one in found.done}
    if len(found.done) < _FEWEST or len(values) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        evaluator = FanovaImportanceEvaluator(seed=0)
        try:
            return dict(get_param_importances(study, evaluator=evaluator))
        except (ValueError, RuntimeError, optuna.exceptions.OptunaError):
            return {}  # no setting that all trials have


def _draw_history(axis: Any, found: Found) -> None:
    """Draw each trial, and the best so far."""
    early = [one for one in found.trials if one.state == TrialState.PRUNED]
    if early:
        x, y = [one.number for one in early], [value_of(one) for one in early]
        axis.scatter(x, y, marker="x", color=GREY, label="ended early")
    numbers = [one.number for one in found.done]
    values = [value_of(one) for one in found.done]
    axis.scatter(numbers, values, color=COLOURS[0], s=22, label="trained to the end")
    best = list(accumulate(values, max if found.goal.maximise else min))
    axis.step(numbers, best, where="post", color=COLOURS[1], label="best so far")
    axis.axhline(found.median, color=GREY, lw=0.8, ls=":", label="median")
    axis.set_xlabel("trial")
    axis.set_ylabel(f"validation {found.goal.name}")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.figure.legend(loc="outside lower left", ncols=4, frameon=False, fontsize=8)


def _draw_importance(axis: Any, importances: dict[str, float]) -> None:
    """Draw the importance of each setting, the largest on top."""
    axis.set_title("importance", fontsize=9)
    if not importances:
        axis.set_axis_off()
        axis.text(0.5, 0.5, "too few trials to tell", ha="center", color=GREY)
        return
    names = list(importances)[::-1]
    axis.barh(names, [importances[name] for name in names], color=COLOURS[0])
    axis.set_xlim(0, 1)
    axis.set_xlabel("share of the variance (fANOVA)")
