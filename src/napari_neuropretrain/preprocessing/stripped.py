"""See that the skull of a scan was removed before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

STRIPPED_EMPTY_SHARE = 0.4
"""A stripped scan has at least this share of voxels at exactly the background."""


def is_stripped(data: NDArray[np.float32]) -> bool:
    """Tell whether the skull of a scan was removed before.

    A whole head has air with noise, or air at exactly zero with tissue of skull
    and scalp around the brain; a stripped scan is one compact object in a constant
    background that fills the brain's ellipsoid and nothing else.

    Parameters
    ----------
    data
        Intensities (X, Y, Z).
    """
    background = background_of(data)
    empty = data == background
    if empty.mean() < STRIPPED_EMPTY_SHARE:
        return False
    solid = ndimage.binary_fill_holes(keep_largest(~empty))
    return bool(solid.any() and not _has_scalp(data, solid))


def _has_scalp(data: NDArray[np.float32], solid: NDArray[np.bool_]) -> bool:
    """Tell whether the outermost rim is brighter than what lies right under it.

    Going inwards, a head shows bright scalp and then dark skull; a stripped brain
    shows grey matter and then brighter white matter.
    """
    depth = ndimage.distance_transform_edt(solid)
    reach = depth.max()
    if reach <= 0:
        return False
    rim = float(np.median(data[(depth > 0.02 * reach) & (depth <= 0.10 * reach)]))
    under = data[(depth > 0.10 * reach) & (depth <= 0.25 * reach)]
    inner = float(np.median(data[depth > 0.35 * reach]))
    # A skull leaves a layer that is much darker than the inside.
    return bool(np.percentile(under, 20) < 0.45 * inner or rim > 1.1 * inner)


def background_of(data: NDArray[np.float32]) -> float:
    """Return the commonest value on the faces of the volume."""
    faces = np.concatenate(
        [data[[0, -1]].ravel(), data[:, [0, -1]].ravel(), data[:, :, [0, -1]].ravel()]
    )
    values, counts = np.unique(faces, return_counts=True)
    return float(values[counts.argmax()])


def keep_largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected component."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return np.asarray(mask, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=bool)
