"""The figures of an evaluation or of a training's test, saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from napari_neuropretrain.evaluation.curves import calibration
from napari_neuropretrain.evaluation.figures import (
    Line,
    draw_calibration,
    draw_gaps,
    draw_predicted,
    draw_roc,
)
from napari_neuropretrain.evaluation.metrics import roc_auc
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.reporting.drawing import COLOURS, save_figure, style

FIGURES = "figures"
_MOST = 6


def write_prediction_figures(
    folder: Path, given: Sequence[Predictions], level: float = 0.95
) -> dict[str, Path]:
    """Draw what the predictions allow, by cohort; return the PNG of each by name.

    Parameters
    ----------
    folder
        Of the figures; each is an SVG and a PNG.
    given
        What models said of cohorts; of each cohort the first six models are drawn.
    level
        Of the intervals.
    """
    found = {}
    with style():
        for cohort in dict.fromkeys(one.cohort for one in given):
            here = [one for one in given if one.cohort == cohort][:_MOST]
            end = re.sub(r"[^\w.-]+", "-", cohort)
            for kind, figure in _figures_of(cohort, here, level):
                found[f"{kind}_{end}"] = save_figure(figure, folder, f"{kind}_{end}")
    return found


def _figures_of(
    cohort: str, here: Sequence[Predictions], level: float
) -> Iterator[tuple[str, Figure]]:
    groups = [one for one in here if one.kind == "binary"]
    if any(len(np.unique(one.labels)) == 2 for one in groups):
        areas = {one.model: f"{roc_auc(one.values, one.labels):.3f}" for one in groups}
        title = f"{cohort}: ROC, {level:.0%} band over participants"
        yield "roc", draw_roc({"": _lines(groups, areas)}, title, level)
    if groups:
        errors = {one.model: f"error {_error(one):.2f}" for one in groups}
        title = f"{cohort}: calibration"
        yield "calibration", draw_calibration({"": _lines(groups, errors)}, title)
    numbers = {one.model: one for one in here if one.kind == "regression"}
    if numbers:
        yield "predicted", draw_predicted(numbers, f"{cohort}: predicted and true")
        first = next(iter(numbers.values()))
        title = f"{cohort}: gap of {first.model}"
        if (figure := draw_gaps(first, title)) is not None:
            yield "gap", figure


def _lines(given: Sequence[Predictions], values: dict[str, str]) -> list[Line]:
    return [
        Line(f"{one.model}: {values[one.model]}", COLOURS[index % len(COLOURS)], [one])
        for index, one in enumerate(given)
    ]


def _error(one: Predictions) -> float:
    """Return the mean distance from the diagonal, weighted by scans."""
    return (
        sum(count * abs(said - true) for said, true, count in calibration([one]))
        / one.labels.size
    )
