"""See that the skull of a scan was removed before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.preprocessing.morphology import (
    block_steps,
    fill_holes,
    keep_largest,
)

STRIPPED_EMPTY_SHARE = 0.4
"""A stripped scan has at least this share of voxels at exactly the background."""
LOOKED_AT_MM = 2.0
"""Finer scans are looked at with every second or third voxel."""


def is_stripped(
    data: NDArray[np.float32], spacing_mm: NDArray[np.float64] | None = None
) -> bool:
    """Tell whether the skull of a scan was removed before.

    A whole head has air with noise, or air at exactly zero with tissue of skull
    and scalp around the brain; a stripped scan is one compact object in a constant
    background that fills the brain's ellipsoid and nothing else.

    Parameters
    ----------
    data
        Intensities (X, Y, Z).
    spacing_mm
        Voxel size (3,); given, a fine scan is thinned out first.
    """
    if spacing_mm is not None:
        x, y, z = block_steps(list(spacing_mm), LOOKED_AT_MM)
        data = data[::x, ::y, ::z]
    empty = data == background_of(data)
    if empty.mean() < STRIPPED_EMPTY_SHARE:
        return False
    solid = fill_holes(keep_largest(~empty))
    return bool(solid.any() and not _has_scalp(data, solid))


def stripped_mask(data: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return what is left in a stripped scan, without holes."""
    return keep_largest(fill_holes(data != background_of(data)))


def background_of(data: NDArray[np.float32]) -> float:
    """Return the commonest value on the faces of the volume."""
    faces = np.concatenate(
        [data[[0, -1]].ravel(), data[:, [0, -1]].ravel(), data[:, :, [0, -1]].ravel()]
    )
    values, counts = np.unique(faces, return_counts=True)
    return float(values[counts.argmax()])


def _has_scalp(data: NDArray[np.float32], solid: NDArray[np.bool_]) -> bool:
    """Tell whether the outermost rim is brighter than what lies right under it.

    Going inwards, a head shows bright scalp and then dark skull; a stripped brain
    shows grey matter and then brighter white matter.
    """
    depth = ndimage.distance_transform_edt(solid)
    reach = depth.max()
    rim = data[(depth > 0.02 * reach) & (depth <= 0.10 * reach)]
    under = data[(depth > 0.10 * reach) & (depth <= 0.25 * reach)]
    if rim.size == 0 or under.size == 0:  # an object of a few voxels
        return False
    inner = float(np.median(data[depth > 0.35 * reach]))
    # A skull leaves a layer that is much darker than the inside.
    dark = np.percentile(under, 20) < 0.45 * inner
    return bool(dark or np.median(rim) > 1.1 * inner)
