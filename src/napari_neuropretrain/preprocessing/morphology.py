"""Simple steps on masks and volumes, fast enough for scans of 256^3 voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def keep_largest(mask: Mask) -> Mask:
    """Keep the largest connected component.

    Examples
    --------
    >>> keep_largest(np.array([True, False, True, True])).tolist()
    [False, False, True, True]
    """
    labels, count = ndimage.label(mask)
    if count <= 1:
        return np.asarray(mask, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=bool)


def fill_holes(mask: Mask) -> Mask:
    """Fill what is closed in; many times faster than scipy's on large volumes.

    Examples
    --------
    >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
    >>> bool(fill_holes(ring).all())
    True
    """
    labels, count = ndimage.label(~mask)
    if count == 0:
        return np.asarray(mask, dtype=bool)
    outside = np.zeros(count + 1, dtype=bool)
    for axis in range(mask.ndim):
        for end in (0, -1):
            outside[np.unique(labels.take(end, axis=axis))] = True
    outside[0] = False  # the mask itself
    return np.asarray(~outside[labels], dtype=bool)


def block_means(data: NDArray[Any], steps: Sequence[int]) -> NDArray[np.float32]:
    """Average blocks of voxels; what is left over at the far ends is dropped.

    Parameters
    ----------
    data
        Volume (X, Y, Z).
    steps
        Voxels of a block along each axis. The centre of block 0 lies at voxel
        ``(step - 1) / 2``.

    Examples
    --------
    >>> block_means(np.array([[[1.0, 3.0, 9.0]]]), (1, 1, 2)).tolist()
    [[[2.0]]]
    """
    kept = [size // step * step for size, step in zip(data.shape, steps, strict=True)]
    means = data[: kept[0], : kept[1], : kept[2]]
    for axis, step in enumerate(steps):
        if step > 1:
            split = [*means.shape[:axis], -1, step, *means.shape[axis + 1 :]]
            means = means.reshape(split).mean(axis=axis + 1, dtype=np.float32)
    return np.asarray(means, dtype=np.float32)


def block_steps(spacing_mm: Sequence[float], target_mm: float) -> tuple[int, ...]:
    """Return the voxels of a block of at most `target_mm`, at least one.

    Examples
    --------
    >>> block_steps((1.0, 0.5, 3.0), 2.0)
    (2, 4, 1)
    """
    return tuple(max(1, int(target_mm / size + 1e-3)) for size in spacing_mm)
