"""Slices through the layers of a viewer, coloured with numpy as napari draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

MOST_PIXELS = 1024
"""Along an edge of a picture; finer layers are shown with fewer."""

_COLORS = 4096
_tables: WeakKeyDictionary[Layer, tuple[Any, NDArray[np.float32]]] = WeakKeyDictionary()


class Placement(NamedTuple):
    """Where the last three axes of a layer lie: world = matrix @ index + origin."""

    matrix: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def straight(self) -> bool:
        """Whether each axis of the array is one of the world."""
        return bool(np.allclose(self.matrix, np.diag(np.diag(self.matrix))))


class Grid(NamedTuple):
    """Centres of the voxels of a volume along z, y and x, ascending, in mm."""

    z: NDArray[np.float64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]


def placement_of(layer: Layer) -> Placement:
    """Return where a layer's last three axes lie in the world."""
    index = np.zeros((4, layer.ndim))
    index[1:, -3:] = np.eye(3)
    corners = np.array([layer.data_to_world(row) for row in index])[:, -3:]
    return Placement((corners[1:] - corners[0]).T, corners[0])


def drawable(layer: Layer) -> bool:
    """Return whether a layer is a volume of grey values, colours or labels."""
    return isinstance(layer, Image | Labels) and layer.ndim >= 3


def grid_around(layers: Sequence[Layer]) -> Grid | None:
    """Return the finest grid around some volumes, or None without any.

    Parameters
    ----------
    layers
        Those that are not `drawable` do not count.
    """
    lows, highs, steps = [], [], []
    for layer in layers:
        if not drawable(layer):
            continue
        placed = placement_of(layer)
        far = np.array(_shape(layer)) - 1
        corners = np.array(np.meshgrid(*([0, edge] for edge in far))).reshape(3, -1)
        world = placed.matrix @ corners + placed.origin[:, np.newaxis]
        lows.append(world.min(axis=1))
        highs.append(world.max(axis=1))
        steps.append(np.abs(placed.matrix).max(axis=1))
    if not lows:
        return None
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    step = np.maximum(np.min(steps, axis=0), (high - low) / MOST_PIXELS)
    counts = np.rint((high - low) / step).astype(int) + 1
    return Grid(
        *(lo + st * np.arange(n) for lo, st, n in zip(low, step, counts, strict=True))
    )


def draw_slice(
    layers: Sequence[Layer], grid: Grid, axis: int, point: Sequence[float]
) -> NDArray[np.uint8]:
    """Draw the visible volumes over each other on black, the first one lowest.

    Parameters
    ----------
    layers
        In the order of the viewer.
    grid
        Centres of the pixels.
    axis
        Which of z, y and x is cut: 0, 1 or 2.
    point
        World coordinates; the last three are z, y and x in mm.

    Returns
    -------
    NDArray
        Red, green and blue (R, C, 3); rows and columns run along the other two axes,
        in order, ascending.
    """
    rows, columns = (len(edge) for number, edge in enumerate(grid) if number != axis)
    canvas = np.zeros((rows, columns, 3), dtype=np.float32)
    for layer in layers:
        if layer.visible and drawable(layer):
            _draw(canvas, layer, grid, axis, point)
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8)


def value_at(layer: Layer, point: Sequence[float]) -> float | None:
    """Return the value of a volume at a world point, or None outside of it."""
    placed = placement_of(layer)
    where = np.linalg.solve(placed.matrix, np.asarray(point)[-3:] - placed.origin)
    index = np.rint(where).astype(int)
    if np.any(index < 0) or np.any(index >= _shape(layer)):
        return None
    return float(np.asarray(_volume(layer, point)[tuple(index)]).ravel()[0])


def on_grid_of(layer: Layer, other: Layer) -> NDArray[Any]:
    """Return a volume on the grid of another, nearest values (Z, Y, X), 0 beyond."""
    placed, target, shape = placement_of(layer), placement_of(other), _shape(other)
    grid = np.indices(shape).reshape(3, -1)
    world = target.matrix @ grid + target.origin[:, np.newaxis]
    back = np.linalg.inv(placed.matrix) @ (world - placed.origin[:, np.newaxis])
    places, edges = np.rint(back).astype(int), np.array(_shape(layer))[:, np.newaxis]
    inside = ((places >= 0) & (places < edges)).all(axis=0)
    z, y, x = np.clip(places, 0, edges - 1)
    values = np.asarray(_volume(layer, (0.0, 0.0, 0.0)))[z, y, x]
    return np.where(inside, values, 0).reshape(shape)


def _draw(
    canvas: NDArray[np.float32],
    layer: Any,
    grid: Grid,
    axis: int,
    point: Sequence[float],
) -> None:
    """Draw one layer over a canvas, in place."""
    cut = _cut(layer, grid, axis, point)
    if cut is None:
        return
    values, inside = cut
    colors = _colored(layer, values)
    alpha = colors[..., 3:] * np.float32(layer.opacity)
    if inside is not None:
        alpha = alpha * inside[..., np.newaxis]
    color, blending = colors[..., :3], str(layer.blending)
    if blending == "additive":
        canvas += color * alpha
        np.minimum(canvas, 255, out=canvas)
    elif blending == "minimum":
        np.copyto(canvas, np.minimum(canvas, color), where=alpha > 0)
    else:
        canvas += alpha * (color - canvas)


def _cut(
    layer: Any, grid: Grid, axis: int, point: Sequence[float]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
    """Return a layer's values on a plane of a grid, and which lie inside it."""
    placed = placement_of(layer)
    axes: list[Any] = list(grid)
    axes[axis] = np.array([point[-3:][axis]])
    cut = _cut_straight if placed.straight else _cut_tilted
    return cut(layer, placed, axes, axis, point)


def _cut_straight(
    layer: Any, placed: Placement, axes: list[Any], axis: int, point: Sequence[float]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
    index, kept = [], []
    for number, size in enumerate(_shape(layer)):
        step = placed.matrix[number, number]
        at = np.rint((axes[number] - placed.origin[number]) / step).astype(int)
        kept.append((at >= 0) & (at < size))
        index.append(np.clip(at, 0, size - 1))
    if not all(one.any() for one in kept):
        return None
    # The one slice first: it may be on a disk.
    where = (slice(None),) * axis + (int(index[axis][0]),)
    plane = np.asarray(_volume(layer, point)[where])
    first, second = (one for one in range(3) if one != axis)
    values = plane[np.ix_(index[first], index[second])]
    if kept[first].all() and kept[second].all():
        return values, None
    inside: Any = np.logical_and.outer(kept[first], kept[second])
    return values, inside


def _cut_tilted(
    layer: Any, placed: Placement, axes: list[Any], axis: int, point: Sequence[float]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    world = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    back = np.linalg.inv(placed.matrix) @ (world - placed.origin[:, np.newaxis])
    places, edges = np.rint(back).astype(int), np.array(_shape(layer))[:, np.newaxis]
    inside: Any = ((places >= 0) & (places < edges)).all(axis=0)
    z, y, x = np.clip(places, 0, edges - 1)
    size = [len(edge) for number, edge in enumerate(axes) if number != axis]
    gathered = np.asarray(_volume(layer, point))[z, y, x]
    return gathered.reshape(*size, *gathered.shape[1:]), inside.reshape(size)


def _colored(layer: Any, values: NDArray[Any]) -> NDArray[np.float32]:
    """Return red, green, blue (0-255) and opacity (0-1) of values (R, C, 4)."""
    if isinstance(layer, Labels):
        return _colored_labels(layer, values)
    if layer.rgb:
        return _colored_rgb(values)
    low, high = layer.contrast_limits
    scaled = (values.astype(np.float32) - low) / max(high - low, 1e-30)
    scaled = np.nan_to_num(np.clip(scaled, 0, 1), copy=False)
    if layer.gamma != 1:
        scaled **= layer.gamma
    table = _table(layer)
    colors: NDArray[np.float32] = table[np.rint(scaled * (_COLORS - 1)).astype(np.intp)]
    return colors


def _colored_rgb(values: NDArray[Any]) -> NDArray[np.float32]:
    colors = values.astype(np.float32)
    if values.dtype.kind == "f":
        colors *= 255
    if colors.shape[-1] == 3:
        return np.concatenate([colors, np.ones_like(colors[..., :1])], axis=-1)
    colors[..., 3] /= 255
    return colors


def _colored_labels(layer: Labels, values: NDArray[Any]) -> NDArray[np.float32]:
    shown = values
    if layer.show_selected_label:
        shown = np.where(values == layer.selected_label, values, 0)
    numbers, back = np.unique(shown, return_inverse=True)
    colors = np.asarray(layer.colormap.map(numbers), dtype=np.float32)
    colors[:, :3] *= 255
    colors[numbers == layer.colormap.background_value, 3] = 0
    picture: NDArray[np.float32] = colors[back.reshape(values.shape)]
    if layer.contour > 0:
        picture[~_edges(shown), 3] = 0
    return picture


def _edges(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels beside another label."""
    edges = np.zeros(labels.shape, dtype=bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def _table(layer: Any) -> NDArray[np.float32]:
    """Return the colours of a layer's colour map, (4096, 4)."""
    known = _tables.get(layer)
    if known is None or known[0] is not layer.colormap:
        colors = layer.colormap.map(np.linspace(0, 1, _COLORS)).astype(np.float32)
        colors[:, :3] *= 255
        known = layer.colormap, colors
        _tables[layer] = known
    return known[1]


def _shape(layer: Any) -> tuple[int, ...]:
    data = layer.data[0] if layer.multiscale else layer.data
    shape = data.shape[:-1] if getattr(layer, "rgb", False) else data.shape
    return tuple(int(edge) for edge in shape[-3:])


def _volume(layer: Any, point: Sequence[float]) -> Any:
    """Return the last three axes of a layer's data where the others are cut."""
    data = layer.data[0] if layer.multiscale else layer.data
    if layer.ndim == 3:
        return data
    before = layer.ndim - 3
    padded = np.zeros(layer.ndim)
    padded[-min(len(point), layer.ndim) :] = np.asarray(point)[-layer.ndim :]
    index = np.rint(layer.world_to_data(padded)).astype(int)[:before]
    limits = np.array(data.shape[:before]) - 1
    return data[tuple(np.clip(index, 0, limits))]
