"""Slices through maps, a row for each model, as in Figure 4 of the paper.

From arrays and affines only: a job and a viewer draw with the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from napari_neuropretrain.data.orientation import spacing_of, to_canonical
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.panel_slices import (
    PLANES,
    PanelMap,
    decide,
    draw_slice,
    two_sided_colours,
)
from napari_neuropretrain.reporting.drawing import new_figure

_ROW_INCHES, _SLICE_INCHES, _BAR_INCHES = 1.75, 1.6, 0.75


def draw_panel(
    maps: Sequence[Sequence[PanelMap | None]],
    rows: Sequence[str] = ("",),
    columns: Sequence[str] = ("",),
    radiological: bool = False,
    title: str = "",
) -> Figure:
    """Draw axial, coronal and sagittal slices of maps.

    Parameters
    ----------
    maps
        Rows of maps; None leaves a place empty. Each has a colour bar of its own.
    rows, columns
        Names, such as models and tasks.
    radiological
        Show the left of the head on the right.
    title
        Above everything.

    Returns
    -------
    Figure
        For `save_figure`, or for a window.

    Raises
    ------
    ConfigError
        If a map and its scan have different shapes, or names are missing.
    """
    if len(maps) != len(rows) or any(len(row) != len(columns) for row in maps):
        raise ConfigError(
            f"A panel of {len(rows)} rows and {len(columns)} columns needs a map, or "
            "none, for each place."
        )
    width = len(columns) * (len(PLANES) * _SLICE_INCHES + _BAR_INCHES)
    figure = new_figure(width + 0.3, len(rows) * _ROW_INCHES + 0.6)
    if title:
        figure.suptitle(title)
    ratios = [*_widths(maps), _BAR_INCHES / 4]
    axes: Any = figure.subplots(
        len(rows),
        len(columns) * len(ratios),
        squeeze=False,
        width_ratios=ratios * len(columns),
    )
    for row, name in enumerate(rows):
        for column, given in enumerate(maps[row]):
            first = column * len(ratios)
            here = axes[row][first : first + len(ratios)]
            _draw_one(figure, here, given, radiological)
            if column == 0:
                _name_row(here[0], name)
            if row == 0:
                _name_column(here[1], columns[column])
    return figure


def _widths(maps: Sequence[Sequence[PanelMap | None]]) -> list[float]:
    """Return the width of each plane's slices, in inches, all at one scale."""
    known = [one for row in maps for one in row if one is not None]
    if not known:
        return [_SLICE_INCHES] * len(PLANES)
    values, affine = to_canonical(known[0].values, known[0].affine)
    sizes = np.array(values.shape) * spacing_of(affine)
    widths = np.array([sizes[0], sizes[0], sizes[1]])
    return [float(one) for one in _SLICE_INCHES * widths / widths.mean()]


def _draw_one(
    figure: Figure, axes: Sequence[Any], given: PanelMap | None, radiological: bool
) -> None:
    if given is None:
        for one in axes:
            one.set_axis_off()
        return
    drawn = decide(given)
    colours = two_sided_colours(drawn.threshold, drawn.limit)
    for axis, plane in zip(axes, PLANES, strict=False):
        shown = draw_slice(axis, drawn, plane, colours, radiological)
    bar = figure.colorbar(shown, cax=axes[-1])
    bar.set_label(drawn.unit, fontsize=7)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_linewidth(0.5)


def _name_row(axis: Any, name: str) -> None:
    axis.text(
        *(-0.06, 0.5),
        name,
        transform=axis.transAxes,
        rotation=90,
        ha="right",
        va="center",
        fontsize=8,
    )


def _name_column(axis: Any, name: str) -> None:
    if name:
        how = {"xytext": (0, 14), "textcoords": "offset points", "ha": "center"}
        axis.annotate(name, (0.5, 1.0), xycoords="axes fraction", fontsize=10, **how)
