"""Kernels for processors: mirroring, stretching and turning one volume.

Volumes are (X, Y, Z), float32 and contiguous. A map (3, 4) says for each voxel of
the view where to look, on coordinates whose origin is the middle of the volume, as
in `view_motion`. Only what can see the box of the brain is looked up.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.training.compiled import compiled

Volume = NDArray[np.float32]
Row = NDArray[np.float32]
Map = NDArray[np.float64]
Box = NDArray[np.int64]


@compiled
def copy_row(row: Row, out: Row) -> None:
    """Fill `out`; several times as fast as assigning to a slice."""
    for here in range(len(out)):
        out[here] = row[here]


@compiled
def is_empty(row: Row) -> bool:
    """Return whether all of a row is 0; adding up is faster than asking each voxel."""
    total = np.float32(0)
    for here in range(len(row)):
        total += abs(row[here])
    return bool(total == 0)


@compiled
def brain_box(volume: Volume) -> Box:
    """Return first and last + 1 of what is not 0 along each axis, (3, 2)."""
    size_x, size_y, size_z = volume.shape
    box = np.array([[size_x, 0], [size_y, 0], [size_z, 0]])
    column = np.zeros(size_z, np.float32)
    for x in range(size_x):
        for y in range(size_y):
            row = volume[x, y]
            if is_empty(row):
                continue
            box[0, 0], box[0, 1] = min(box[0, 0], x), x + 1
            box[1, 0], box[1, 1] = min(box[1, 0], y), max(box[1, 1], y + 1)
            for z in range(size_z):
                column[z] += abs(row[z])
    for z in range(size_z):
        if column[z] != 0:
            box[2, 0], box[2, 1] = min(box[2, 0], z), z + 1
    return box


@compiled
def mirror(volume: Volume, map_: Map, out: Volume) -> None:
    """Copy a volume; axes of which the map has -1 are mirrored."""
    shape = volume.shape
    for x in range(shape[0]):
        from_x = x if map_[0, 0] > 0 else shape[0] - 1 - x
        for y in range(shape[1]):
            from_y = y if map_[1, 1] > 0 else shape[1] - 1 - y
            row, seen = volume[from_x, from_y], out[x, y]
            if map_[2, 2] > 0:
                for z in range(shape[2]):
                    seen[z] = row[z]
            else:
                for z in range(shape[2]):
                    seen[z] = row[shape[2] - 1 - z]


@compiled
def _places(size: int, scale: float, shift: float) -> tuple[NDArray[np.uint32], Volume]:
    """Return which two voxels each voxel lies between, and their shares, (2, S)."""
    middle = 0.5 * (size - 1)
    indices, shares = np.zeros((2, size), np.uint32), np.zeros((2, size), np.float32)
    for here in range(size):
        place = scale * (here - middle) + shift + middle
        before = math.floor(place)
        for one in range(2):
            if 0 <= before + one < size:
                indices[one, here] = before + one
                shares[one, here] = abs(1 - one - (place - before))
    return indices, shares


@compiled
def stretch(volume: Volume, box: Box, map_: Map, out: Volume) -> None:
    """Look up through a map that scales, mirrors and shifts each axis by itself."""
    size_x, size_y, size_z = volume.shape
    in_x, of_x = _places(size_x, map_[0, 0], map_[0, 3])
    in_y, of_y = _places(size_y, map_[1, 1], map_[1, 3])
    in_z, of_z = _places(size_z, map_[2, 2], map_[2, 3])
    # Rows outside the brain stay 0.
    plane = np.zeros((size_y, size_z), np.float32)
    line = np.empty(size_z, np.float32)
    for x in range(size_x):
        before, behind = volume[in_x[0, x]], volume[in_x[1, x]]
        for y in range(box[1, 0], box[1, 1]):
            _mix(before[y], behind[y], of_x[0, x], of_x[1, x], plane[y])
        for y in range(size_y):
            before_y, behind_y = plane[in_y[0, y]], plane[in_y[1, y]]
            _mix(before_y, behind_y, of_y[0, y], of_y[1, y], line)
            seen = out[x, y]
            for z in range(size_z):
                seen[z] = of_z[0, z] * line[in_z[0, z]] + of_z[1, z] * line[in_z[1, z]]


@compiled
def _mix(one: Row, other: Row, share: np.float32, rest: np.float32, mixed: Row) -> None:
    for z in range(len(mixed)):
        mixed[z] = share * one[z] + rest * other[z]


@compiled
def _pad(volume: Volume, box: Box, padded: Volume) -> None:
    """Copy the box of the brain into `padded`, with a border of 0 around it."""
    size_x, size_y, size_z = padded.shape
    padded[0] = 0
    padded[size_x - 1] = 0
    for x in range(1, size_x - 1):
        padded[x, 0] = 0
        padded[x, size_y - 1] = 0
        for y in range(1, size_y - 1):
            from_x, from_y = box[0, 0] + x - 1, box[1, 0] + y - 1
            row, kept = volume[from_x, from_y, box[2, 0] : box[2, 1]], padded[x, y]
            kept[0] = 0
            kept[size_z - 1] = 0
            inner = kept[1:]
            for z in range(size_z - 2):
                inner[z] = row[z]


@compiled
def _reach(
    start: float, step: float, size: int, first: int, last: int
) -> tuple[int, int]:
    """Narrow [first, last) to where start + step * z is in [0, size - 1]."""
    if step == 0:
        return first, last if 0 <= start <= size - 1 else first
    enters, leaves = -start / step, (size - 1 - start) / step
    low, high = min(enters, leaves), max(enters, leaves)
    # Bounded before they become integers: a tiny step leads far away.
    first = math.ceil(min(max(low, first), last))
    last = min(last, math.floor(min(max(high, -1), last)) + 1)
    return first, max(first, last)


@compiled
def turn(volume: Volume, box: Box, map_: Map, scratch: Volume, out: Volume) -> None:
    """Look up through any map, between eight voxels.

    Parameters
    ----------
    volume, out
        (X, Y, Z), what to turn and where to.
    box
        Of the brain of the volume, see `brain_box`.
    map_
        (3, 4).
    scratch
        Flat, of at least (X + 4)(Y + 2)(Z + 2) voxels.
    """
    size_x, size_y, size_z = volume.shape
    edges = box[:, 1] - box[:, 0] + 2
    sizes = (edges[0], edges[1], edges[2])
    strides = (sizes[1] * sizes[2], sizes[2])
    count = sizes[0] * strides[0]
    _pad(volume, box, scratch[:count].reshape(sizes))
    # A place that rounding puts onto the last voxel reads what follows, times 0.
    scratch[count : count + 2 * strides[0]] = 0
    zero = _origin(map_, box, volume.shape)
    step = (map_[0, 2], map_[1, 2], map_[2, 2])
    cells = np.empty(size_z, np.int32)
    shares = np.empty((3, size_z), np.float32)
    for x in range(size_x):
        for y in range(size_y):
            start = (
                zero[0] + map_[0, 0] * x + map_[0, 1] * y,
                zero[1] + map_[1, 0] * x + map_[1, 1] * y,
                zero[2] + map_[2, 0] * x + map_[2, 1] * y,
            )
            first, last = _reach(start[0], step[0], sizes[0], 0, size_z)
            first, last = _reach(start[1], step[1], sizes[1], first, last)
            first, last = _reach(start[2], step[2], sizes[2], first, last)
            row = out[x, y]
            row[:first] = 0
            row[last:] = 0
            _place(start, step, first, last, strides, cells, shares)
            _look_up(scratch, strides, cells, shares, row[first:last])


@compiled
def _origin(map_: Map, box: Box, shape: tuple[int, int, int]) -> Map:
    """Return where voxel (0, 0, 0) looks, in the padded box."""
    zero = map_[:, 3] - box[:, 0] + 1
    for axis in range(3):
        zero[axis] += 0.5 * (shape[axis] - 1)
        for one in range(3):
            zero[axis] -= map_[axis, one] * 0.5 * (shape[one] - 1)
    return zero


@compiled
def _place(
    start: tuple[float, float, float],
    step: tuple[float, float, float],
    first: int,
    last: int,
    strides: tuple[int, int],
    cells: NDArray[np.int32],
    shares: Volume,
) -> None:
    """Find the voxel before start + step * z, and how far behind it that is.

    A loop of its own: it runs in wide registers, which the loop that reads from
    scattered places does not.
    """
    in_x, in_y, in_z = shares[0], shares[1], shares[2]
    from_x, step_x = np.float32(start[0] + step[0] * first), np.float32(step[0])
    from_y, step_y = np.float32(start[1] + step[1] * first), np.float32(step[1])
    from_z, step_z = np.float32(start[2] + step[2] * first), np.float32(step[2])
    stride_x, stride_y = np.int32(strides[0]), np.int32(strides[1])
    for here in range(last - first):
        far = np.float32(here)
        x, y, z = from_x + step_x * far, from_y + step_y * far, from_z + step_z * far
        cell_x, cell_y, cell_z = np.trunc(x), np.trunc(y), np.trunc(z)
        in_x[here], in_y[here], in_z[here] = x - cell_x, y - cell_y, z - cell_z
        cells[here] = (
            np.int32(cell_x) * stride_x + np.int32(cell_y) * stride_y + np.int32(cell_z)
        )


@compiled
def _look_up(
    flat: Volume,
    strides: tuple[int, int],
    cells: NDArray[np.int32],
    shares: Volume,
    seen: Volume,
) -> None:
    """Interpolate between the eight voxels of each cell."""
    in_x, in_y, in_z = shares[0], shares[1], shares[2]
    # Without a sign: no check for indices from behind.
    next_x, next_y, one = np.uint64(strides[0]), np.uint64(strides[1]), np.uint64(1)
    for here in range(len(seen)):
        share, at = in_z[here], np.uint64(cells[here])
        near = flat[at] + share * (flat[at + one] - flat[at])
        at += next_y
        beside = flat[at] + share * (flat[at + one] - flat[at])
        at += next_x
        across = flat[at] + share * (flat[at + one] - flat[at])
        at -= next_y
        far = flat[at] + share * (flat[at + one] - flat[at])
        near += in_y[here] * (beside - near)
        far += in_y[here] * (across - far)
        seen[here] = near + in_x[here] * (far - near)
