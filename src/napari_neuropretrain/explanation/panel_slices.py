"""Slices of one map over its scan, in closest RAS order, with a map's two colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.data.orientation import spacing_of, to_canonical
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.regions import strongest_threshold

PLANES = ("axial", "coronal", "sagittal")
_AXIS = {"axial": 2, "coronal": 1, "sagittal": 0}
_MARKS = {"axial": "LR", "coronal": "LR", "sagittal": "PA"}
# The colours of the viewer: cold to clear to hot.
_COLD_END, _COLD_START = (0.0, 0.95, 0.95, 1.0), (0.0, 0.1, 0.85, 1.0)
_HOT_START, _HOT_END = (0.85, 0.1, 0.0, 1.0), (1.0, 0.95, 0.0, 1.0)
_CLEAR = (0.5, 0.5, 0.5, 0.0)
_OUTLINE = "#33dd55"


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
class DrawnMap:
    """A `PanelMap` in closest RAS order, with everything decided; see there."""

    values: NDArray[Any]
    anatomy: NDArray[Any]
    affine: NDArray[Any]
    place: tuple[int, int, int]
    threshold: tuple[float, float]
    limit: float
    window: tuple[float, float]
    outline: NDArray[np.bool_] | None
    unit: str


def decide(given: PanelMap) -> DrawnMap:
    """Turn a map into RAS order, and choose what was left open.

    Raises
    ------
    ConfigError
        If the map and what belongs to it have different shapes.
    """
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
    return DrawnMap(
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


def draw_slice(
    axis: Any, drawn: DrawnMap, plane: str, colours: Any, radiological: bool
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


def _edges(drawn: DrawnMap, axis: int) -> tuple[float, float]:
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
