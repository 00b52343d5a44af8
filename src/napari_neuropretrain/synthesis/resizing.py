"""Resizing of smooth volumes, one axis after another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.synthesis.anatomy import FloatArray


def resize(volume: NDArray[Any], shape: Sequence[int], order: int) -> FloatArray:
    """Return a volume (..., X, Y, Z) at another shape, as `scipy.ndimage.zoom` does.

    Splines are separable: three products with small matrices give what the general
    function needs a hundred times as long for.

    Parameters
    ----------
    volume
        Any number of leading axes is kept.
    shape
        Voxels (X, Y, Z) of the result; corners stay corners.
    order
        Of the spline: 1 linear, 3 cubic.
    """
    result = np.asarray(volume, np.float32)
    for axis, size in zip((-3, -2, -1), shape, strict=True):
        matrix = _matrix(result.shape[axis], size, order)
        result = np.moveaxis(np.moveaxis(result, axis, -1) @ matrix.T, -1, axis)
    return np.ascontiguousarray(result)


@lru_cache(maxsize=64)
def _matrix(given: int, wanted: int, order: int) -> FloatArray:
    """Return what a resize along one axis does, (wanted, given)."""
    each = np.eye(given)
    return np.asarray(
        ndimage.zoom(each, (wanted / given, 1), order=order), dtype=np.float32
    )
