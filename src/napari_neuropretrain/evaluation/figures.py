"""Figures of predictions: ROC, calibration, predicted and true, gaps by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_neuropretrain.evaluation.curves import GRID, calibration, roc_band
from napari_neuropretrain.evaluation.groups import UNKNOWN, group_names
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.reporting.drawing import (
    COLOURS,
    GREY,
    new_figure,
    panel_size,
    panels,
)

CAPTIONS = {
    "roc": "ROC curve with its pointwise 95 % band over participants.",
    "calibration": "How often those with a probability are positive. Larger points "
    "stand for more scans.",
    "predicted": "One point is one scan.",
    "gap": "Predicted less true, by group. One point is one scan; boxes hold half.",
    "training": "By epoch.",
}
"""By the first word of a figure's name."""
_LEAST_IN_GROUP = 3


@dataclass(frozen=True, eq=False)
class Line:
    """One model in a figure.

    Parameters
    ----------
    label, colour
        Of its line.
    seeds
        What each of its trainings said of the same scans.
    """

    label: str
    colour: str
    seeds: Sequence[Predictions]


def draw_roc(
    groups: Mapping[str, Sequence[Line]], title: str, level: float = 0.95
) -> Figure:
    """Draw the ROC curve of each model, with the band of its interval.

    Parameters
    ----------
    groups
        Models of each panel, by its title.
    title
        Over everything.
    level
        Of the interval.
    """
    figure = new_figure(*panel_size(len(groups), edge=3.3))
    for axis, (name, lines) in zip(
        panels(figure, len(groups)), groups.items(), strict=True
    ):
        axis.plot((0, 1), (0, 1), color=GREY, lw=0.8, ls=":")
        for one in lines:
            band = roc_band(list(one.seeds), level)
            axis.plot(GRID, band.mean, color=one.colour, lw=1.5, label=one.label)
            how = {"color": one.colour, "alpha": 0.15, "lw": 0}
            axis.fill_between(GRID, band.low, band.high, **how)
        _square(axis, name, "false positive rate", "true positive rate")
    figure.suptitle(title)
    return figure


def draw_calibration(groups: Mapping[str, Sequence[Line]], title: str) -> Figure:
    """Draw how often those with a probability are positive; seeds together."""
    figure = new_figure(*panel_size(len(groups), edge=3.3))
    for axis, (name, lines) in zip(
        panels(figure, len(groups)), groups.items(), strict=True
    ):
        axis.plot((0, 1), (0, 1), color=GREY, lw=0.8, ls=":")
        for one in lines:
            points = calibration(list(one.seeds))
            said, true, counts = (np.array(each) for each in zip(*points, strict=True))
            axis.plot(said, true, color=one.colour, lw=1, label=one.label)
            sizes = 6 + 60 * counts / counts.sum()
            axis.scatter(said, true, s=sizes, color=one.colour)
        _square(axis, name, "predicted probability", "share of positives")
    figure.suptitle(title)
    return figure


def _square(axis: Any, title: str, x: str, y: str) -> None:
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", title=title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.legend(loc="lower right", fontsize=7, frameon=False)


def draw_predicted(given: Mapping[str, Predictions], title: str) -> Figure:
    """Draw predicted over true numbers, a panel for each model.

    Parameters
    ----------
    given
        By the name of the model.
    title
        Over everything.
    """
    figure = new_figure(*panel_size(len(given), edge=3.0))
    every = np.concatenate(
        [np.append(one.labels, one.values) for one in given.values()]
    )
    margin = 0.04 * np.ptp(every) or 1.0
    limits = (float(every.min() - margin), float(every.max() + margin))
    for axis, (name, one) in zip(
        panels(figure, len(given)), given.items(), strict=True
    ):
        axis.plot(limits, limits, color=GREY, lw=0.8, ls=":")
        axis.scatter(one.labels, one.values, s=9, alpha=0.6, color=COLOURS[0], lw=0)
        error = float(np.abs(one.values - one.labels).mean())
        axis.set(xlim=limits, ylim=limits, aspect="equal")
        axis.set_title(f"{name}\nMAE {error:.2f} {one.unit}", fontsize=8)
        axis.set_xlabel(f"true ({one.unit})" if one.unit else "true")
        axis.set_ylabel("predicted")
    figure.suptitle(title)
    return figure


def draw_gaps(one: Predictions, title: str) -> Figure | None:
    """Draw predicted less true numbers by group.

    After the correction of the age bias, where the validation part was large enough
    for one. None where no column has two groups.
    """
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
        _boxes(axis, name, groups)
    unit = f" ({one.unit})" if one.unit else ""
    axes[0].set_ylabel(f"predicted less true{unit}")
    done = "" if one.bias is None else ", corrected for age bias"
    figure.suptitle(f"{title}{done}", fontsize=9)
    return figure


def _boxes(axis: Any, name: str, groups: Mapping[str, NDArray[np.float64]]) -> None:
    axis.axhline(0, color=GREY, lw=0.8, ls=":")
    axis.boxplot(list(groups.values()), widths=0.55, showfliers=False)
    for place, found in enumerate(groups.values(), 1):
        spread = np.random.default_rng(0).uniform(-0.15, 0.15, found.size)
        axis.scatter(place + spread, found, s=9, alpha=0.6, color=COLOURS[0], lw=0)
    names = [f"{group}\nn={found.size}" for group, found in groups.items()]
    axis.set_xticks(range(1, len(groups) + 1), names, fontsize=7)
    axis.set_title(name)


def _groups(name: str, one: Predictions, gaps: Any) -> dict[str, Any]:
    texts = group_names(name, one.columns[name])
    found = {group: gaps[texts == group] for group in sorted(set(texts.tolist()))}
    return {
        group: values
        for group, values in found.items()
        if group != UNKNOWN and values.size >= _LEAST_IN_GROUP
    }
