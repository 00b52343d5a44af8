"""Kernels for processors: Gaussian blur of one volume, plane by plane.

Volumes are (X, Y, Z), float32 and contiguous. A plane fits into a processor's cache,
and long rows of neighbours into its wide registers.
"""

from __future__ import annotations

import math

import numpy as np

from napari_neuropretrain.training.compiled import compiled
from napari_neuropretrain.training.view_kernels_motion import (
    Box,
    Row,
    Volume,
    copy_row,
)


def gaussian(sigma: float, size: int) -> Row:
    """Return half of a kernel that sums to 1, from its middle outwards.

    It reaches to four standard deviations, no further than an axis of this size.
    """
    lags = np.arange(max(2, min(math.floor(4 * sigma + 0.5) + 1, size)))
    half = np.exp(-0.5 * (lags / sigma) ** 2) * (lags < size)
    shares: Row = (half / (2 * half.sum() - half[0])).astype(np.float32)
    return shares


@compiled
def _add_pair(
    total: Row, half: Row, lag: int, inner: Row, before: Row, behind: Row
) -> None:
    """Add both neighbours; the first pair replaces what was in `total`."""
    share, own = half[lag], half[0]
    if lag == 1:
        for here in range(len(total)):
            total[here] = own * inner[here] + share * (before[here] + behind[here])
    else:
        for here in range(len(total)):
            total[here] += share * (before[here] + behind[here])


@compiled
def _smooth(padded: Row, half: Row, apart: int, out: Row) -> None:
    """Sum neighbours that lie `apart` from each other, each with its share.

    `padded` goes on before and behind `out` as far as the kernel reaches.
    """
    count, middle = len(out), apart * (len(half) - 1)
    inner = padded[middle : middle + count]
    for lag in range(1, len(half)):
        before = padded[middle - lag * apart : middle - lag * apart + count]
        behind = padded[middle + lag * apart : middle + lag * apart + count]
        _add_pair(out, half, lag, inner, before, behind)


@compiled
def _mirror_ends(padded: Volume, reach: int) -> None:
    """Fill the first and the last rows (padded, width) with their mirrors."""
    last = len(padded) - 1
    for beyond in range(reach):
        padded[reach - 1 - beyond] = padded[reach + beyond]
        padded[last - reach + 1 + beyond] = padded[last - reach - beyond]


@compiled
def _mix_planes(volume: Volume, x: int, half: Row, rows: Box, out: Volume) -> None:
    """Smooth along x, into rows of one plane."""
    size, low, high = len(volume), rows[0], rows[1]
    total = out[low:high].reshape(-1)
    inner = volume[x, low:high].reshape(-1)
    for lag in range(1, len(half)):
        before = x - lag if x >= lag else lag - x - 1
        behind = x + lag if x + lag < size else 2 * size - 1 - x - lag
        one = volume[before, low:high].reshape(-1)
        other = volume[behind, low:high].reshape(-1)
        _add_pair(total, half, lag, inner, one, other)


@compiled
def _mirror_row(row: Row, reach: int, padded: Row) -> None:
    size = len(row)
    copy_row(row, padded[reach : reach + size])
    for beyond in range(reach):
        padded[reach - 1 - beyond] = row[beyond]
        padded[reach + size + beyond] = row[size - 1 - beyond]


@compiled
def blur(volume: Volume, box: Box, halves: tuple[Row, Row, Row], out: Volume) -> None:
    """Smooth the box of the brain by a Gaussian; the rest of `out` stays as it was.

    Beyond the faces the volume goes on mirrored.
    """
    _, size_y, size_z = volume.shape
    in_x, in_y, in_z = halves
    low, high = box[1, 0], box[1, 1]
    rows, reach, reach_z = high - low, len(in_y) - 1, len(in_z) - 1
    plane = np.zeros((size_y + 2 * reach, size_z), np.float32)
    narrow = np.empty((rows, size_z), np.float32)
    width = size_z + 2 * reach_z
    wide = np.empty((rows + 1, width), np.float32)
    smooth = np.empty((rows, width), np.float32)
    for x in range(box[0, 0], box[0, 1]):
        _mix_planes(volume, x, in_x, box[1], plane[reach : reach + size_y])
        _mirror_ends(plane, reach)
        around = plane[low : high + 2 * reach].reshape(-1)
        _smooth(around, in_y, size_z, narrow.reshape(-1))
        for y in range(rows):
            _mirror_row(narrow[y], reach_z, wide[y])
        _smooth(wide.reshape(-1), in_z, 1, smooth.reshape(-1))
        for y in range(rows):
            copy_row(smooth[y], out[x, low + y])
