"""Bring scans from different scanners to one intensity scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.errors import ImageError


def zscore_brain(
    data: NDArray[np.float32], brain_mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Give the brain mean 0 and standard deviation 1, and 0 to everything else.

    Nothing is clipped: the few bright voxels of vessels and dura keep their value.

    Parameters
    ----------
    data
        Volume (X, Y, Z).
    brain_mask
        Brain voxels, on the same grid.

    Raises
    ------
    ImageError
        If the mask is empty or the brain has one single value.

    Examples
    --------
    >>> zscore_brain(np.array([1.0, 3.0, 9.0]), np.array([True, True, False]))
    array([-1.,  1.,  0.], dtype=float32)
    """
    inside = np.asarray(data[brain_mask], dtype=np.float64)
    if inside.size == 0:
        raise ImageError(
            "The brain mask holds no voxel of the output grid. Check that the scan "
            "shows a brain."
        )
    deviation = inside.std()
    if not deviation > 0:
        raise ImageError(
            f"Every voxel of the brain has the value {inside[0]:g}. Give a scan with "
            "grey values, not a mask or a blank image."
        )
    scored = np.zeros(data.shape, dtype=np.float32)
    scored[brain_mask] = (inside - inside.mean()) / deviation
    return scored
