"""Slices through maps, a row for each model, as in Figure 4 of the paper.

From arrays and affines only: a job and a viewer draw with the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.data.orientation import spacing_of, to_canonical
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.regions import strongest_threshold
from napari_neuropretrain.reporting.drawing import new_figure

PLANES = ("axial", "coronal", "sagittal")
_AXIS = {"axial": 2, "coronal": 1, "sagittal": 0}
_MARKS = {"axial": "LR", "coronal": "LR", "sagittal": "PA"}
# The colours of the viewer: cold to clear to hot.
_COLD_END, _COLD_START = (0.0, 0.95, 0.95, 1.0), (0.0, 0.1, 0.85, 1.0)
_HOT_START, _HOT_END = (0.85, 0.1, 0.0, 1.0), (1.0, 0.95, 0.0, 1.0)
_CLEAR = (0.5, 0.5, 0.5, 0.0)
_OUTLINE = "#33dd55"
_ROW_INCHES, _SLICE_INCHES, _BAR_INCHES = 1.75, 1.6, 0.75


@dataclass(frozen=True, eq=False)
class PanelMap:
    """One map over one scan.

    Parameters
    ----------
    values
        Map (I, J, K), in `unit`.
    anatomy
        Scan on the same grid (I, J, K).
    affine
        Voxel to RAS mm (4, 4) of both, in any orientation; an oblique grid is drawn
        straight.
    brain
        Boolean (I, J, K); the scan is black elsewhere. None: everything is shown.
    unit
        For the colour bar.
    threshold
        Sizes of the smallest negative and positive value that is shown. None: those
        of the strongest 5 % by absolute value.
    limit
        Absolute value with the last colour. None: the largest one.
    place_mm
        RAS mm (x, y, z) that the slices go through. None: the strongest voxel.
    outline
        Boolean (I, J, K): its edge is drawn in green.
    """

    values: NDArray[Any]
    anatomy: NDArray[Any]
    affine: NDArray[Any]
    brain: NDArray[np.bool_] | None = None
    unit: str = ""
    threshold: tuple[float, float] | None = None
    limit: float | None = None
    place_mm: tuple[float, float, float] | None = None
    outline: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The same in closest RAS order, with everything decided."""

    values: NDArray[Any]
    anatomy: NDArray[Any]
    affine: NDArray[Any]
    place: tuple[int, int, int]
    threshold: tuple[float, float]
    limit: float
    window: tuple[float, float]
    outline: NDArray[np.bool_] | None
    unit: str


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
    drawn = _decide(given)
    colours = two_sided_colours(drawn.threshold, drawn.limit)
    for axis, plane in zip(axes, PLANES, strict=False):
        shown = _draw_slice(axis, drawn, plane, colours, radiological)
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


def _decide(given: PanelMap) -> _Drawn:
    """Turn a map into RAS order, and choose what was left open."""
    for name in ("anatomy", "brain", "outline"):
        other = getattr(given, name)
        if other is not None and other.shape != given.values.shape:
            raise ConfigError(
                f"The map has shape {given.values.shape} and its {name} {other.shape}; "
                "they must lie on one grid."
            )
    values, affine = to_canonical(np.nan_to_num(given.values), given.affine)
    anatomy, _ = to_canonical(given.anatomy, given.affine)
    brain = None if given.brain is None else to_canonical(given.brain, given.affine)[0]
    outline = given.outline
    size = np.abs(values)
    largest = float(size.max()) or 1.0
    threshold = given.threshold
    if threshold is None:
        # A map is exactly 0 outside the brain.
        inside = size > 0 if brain is None else brain
        threshold = (strongest_threshold(values, inside),) * 2 if inside.any() else None
    return _Drawn(
        values,
        anatomy if brain is None else np.where(brain, anatomy, np.nan),
        affine,
        _place(size, affine, given.place_mm),
        threshold or (largest, largest),
        given.limit or largest,
        _window(anatomy, brain),
        None if outline is None else to_canonical(outline, given.affine)[0],
        given.unit,
    )


def _place(
    size: NDArray[Any], affine: NDArray[Any], place_mm: ArrayLike | None
) -> tuple[int, int, int]:
    if place_mm is None:
        found = np.unravel_index(int(size.argmax()), size.shape)
    else:
        back = np.linalg.inv(affine) @ [*np.asarray(place_mm, float), 1.0]
        found = np.clip(np.rint(back[:3]), 0, np.array(size.shape) - 1).astype(int)
    x, y, z = (int(index) for index in found)
    return x, y, z


def _window(
    anatomy: NDArray[Any], brain: NDArray[np.bool_] | None
) -> tuple[float, float]:
    """Return what is black and white: nearly all of the brain, or of the head."""
    inside = anatomy[anatomy > anatomy.min()] if brain is None else anatomy[brain]
    if not inside.size:
        return 0.0, 1.0
    low, high = np.percentile(inside, (1.0, 99.5))
    return float(low), float(max(high, low + 1e-6))


def two_sided_colours(
    threshold: tuple[float, float], limit: float
) -> LinearSegmentedColormap:
    """Return the viewer's colours: cold to clear to hot.

    Parameters
    ----------
    threshold
        Sizes of the smallest negative and positive value with a colour.
    limit
        Absolute value with the last colour.

    Examples
    --------
    >>> colours = two_sided_colours((0.5, 0.2), 1.0)
    >>> [float(colours((value + 1) / 2)[3]) for value in (-0.6, -0.4, 0.1, 0.3)]
    [1.0, 0.0, 0.0, 1.0]
    """
    low, high = (min(max(one / limit, 0.004), 0.99) / 2 for one in threshold)
    edge = 1e-6
    stops = [
        (0.0, _COLD_END),
        (0.5 - low, _COLD_START),
        (0.5 - low + edge, _CLEAR),
        (0.5 + high - edge, _CLEAR),
        (0.5 + high, _HOT_START),
        (1.0, _HOT_END),
    ]
    return LinearSegmentedColormap.from_list("two-sided", stops, N=1024)


def _draw_slice(
    axis: Any, drawn: _Drawn, plane: str, colours: Any, radiological: bool
) -> Any:
    """Draw one plane with its marks; return the coloured picture."""
    number = _AXIS[plane]
    index = drawn.place[number]
    across, up = (one for one in range(3) if one != number)
    extent = (*_edges(drawn, across), *_edges(drawn, up))
    flat = [
        np.take(volume, index, axis=number).T
        for volume in (drawn.anatomy, drawn.values)
    ]
    how = {"origin": "lower", "extent": extent}
    low, high = drawn.window
    axis.set_facecolor("black")
    axis.imshow(flat[0], cmap="gray", vmin=low, vmax=high, **how)
    norm = Normalize(-drawn.limit, drawn.limit)
    kept = np.clip(flat[1], -drawn.limit, drawn.limit)
    shown = axis.imshow(
        kept, cmap=colours, norm=norm, alpha=0.85, interpolation="nearest", **how
    )
    if drawn.outline is not None:
        edge = np.take(drawn.outline, index, axis=number).T
        if edge.any():
            axis.contour(edge, [0.5], colors=_OUTLINE, linewidths=0.8, **how)
    flipped = radiological and plane != "sagittal"
    if flipped:
        axis.invert_xaxis()
    _mark(axis, _MARKS[plane][::-1] if flipped else _MARKS[plane])
    mm = drawn.affine[number, :3] @ drawn.place + drawn.affine[number, 3]
    axis.set_title(f"{'xyz'[number]} = {mm:.0f} mm", fontsize=7, pad=2)
    return shown


def _edges(drawn: _Drawn, axis: int) -> tuple[float, float]:
    """Return where a grid begins and ends along an axis, in mm."""
    step = spacing_of(drawn.affine)[axis]
    middle = (np.array(drawn.values.shape) - 1) / 2
    centre = float(drawn.affine[axis, :3] @ middle + drawn.affine[axis, 3])
    half = step * drawn.values.shape[axis] / 2
    return centre - half, centre + half


def _mark(axis: Any, marks: str) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
    for mark, x, align in ((marks[0], 0.02, "left"), (marks[1], 0.98, "right")):
        axis.text(
            *(x, 0.02),
            mark,
            transform=axis.transAxes,
            color="white",
            fontsize=8,
            ha=align,
            va="bottom",
        )
