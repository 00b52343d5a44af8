"""Curves of trainings, from the events of their run folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from napari_neuropretrain.reporting.drawing import (
    COLOURS,
    GREY,
    new_figure,
    panel_size,
    panels,
)
from napari_neuropretrain.runs.curves import Curves
from napari_neuropretrain.runs.folder import read_events

Epochs = Sequence[Mapping[str, Any]]
"""Values of each epoch: losses and the like."""


def read_epochs(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the values of each epoch of a run.

    An epoch that comes again, of a training that was resumed or begun anew, replaces
    what came after it.
    """
    found: dict[int, Mapping[str, Any]] = {}
    for event in read_events(folder)[0]:
        values = event.get("values", {})
        if event["state"] == "epoch" and "epoch" in values:
            found = {one: kept for one, kept in found.items() if one < values["epoch"]}
            found[values["epoch"]] = values
    return tuple(found.values())


def draw_losses(trainings: Mapping[str, Sequence[Epochs]], title: str) -> Figure:
    """Draw training and validation loss, a panel for each name, a line for each seed.

    Parameters
    ----------
    trainings
        Epochs of each seed, by the title of the panel.
    title
        Over everything.
    """
    figure = new_figure(*panel_size(max(1, len(trainings)), edge=2.7))
    for axis, (name, seeds) in zip(
        panels(figure, len(trainings)), trainings.items(), strict=True
    ):
        for number, epochs in enumerate(seeds):
            for word, key, colour in (
                ("training", "loss", COLOURS[0]),
                ("validation", "validation_loss", COLOURS[1]),
            ):
                losses = [values.get(key, np.nan) for values in epochs]
                numbers = [values["epoch"] for values in epochs]
                how = {"color": colour, "lw": 1, "alpha": 0.8}
                axis.plot(numbers, losses, label=None if number else word, **how)
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("epoch")
        axis.set_ylabel("loss")
    if trainings:
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return figure


def draw_run(folder: Path) -> Figure | None:
    """Draw everything that a training said once an epoch; None if it said nothing.

    Curves with one unit share a panel; the epoch that was kept is marked.
    """
    curves = Curves()
    for event in read_events(folder)[0]:
        curves.take(event)
    if not curves.groups:
        return None
    figure = new_figure(*panel_size(len(curves.groups), edge=2.7))
    for axis, (title, group) in zip(
        panels(figure, len(curves.groups)), curves.groups.items(), strict=True
    ):
        if curves.best is not None:
            axis.axvline(curves.best, color=GREY, lw=0.8, ls=":")
        for index, curve in enumerate(group.values()):
            how = {"color": COLOURS[index % len(COLOURS)], "lw": 1.2}
            mark = "o" if len(curve.epochs) < 3 else ""
            axis.plot(curve.epochs, curve.values, label=curve.label, marker=mark, **how)
        axis.set_title(title, fontsize=8)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        if any(curve.label for curve in group.values()):
            axis.legend(fontsize=7, frameon=False)
    if curves.best is not None:
        figure.suptitle(f"Epoch {curves.best} is kept", fontsize=9)
    return figure
