"""What the air around a head says about noise and motion.

A head that moves leaves ghosts beside itself, in the direction of the phase
encoding; noise fills the air evenly. Scans whose background was set to one value
have no air to measure.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_neuropretrain.data.orientation import spacing_of

Mask = NDArray[np.bool_]

HEAD_LEVEL = 0.25
"""The head is brighter than this share of the brain's median."""
GAP_MM = 8.0
"""Air begins so far from the head."""
GRID_MM = 3.0
"""The head is outlined on voxels of about this size."""
SMOOTHING_MM = 8.0
"""Ghosts are wider than this (FWHM); noise is not."""
MIN_VOXELS = 2000


def find_air(data: NDArray[np.float32], brain_mask: Mask, affine: ArrayLike) -> Mask:
    """Mark air: 8 mm from the head, and above the lowest slice of the brain.

    Parameters
    ----------
    data
        Raw scan (X, Y, Z) in RAS order.
    brain_mask
        Brain of the scan, on the same grid.
    affine
        Voxel to RAS mm (4, 4).

    Returns
    -------
    bool array (X, Y, Z)
        Empty where there is too little air, or where it holds one single value.
    """
    sizes = np.array(spacing_of(affine))
    steps = np.maximum(1, np.rint(GRID_MM / sizes)).astype(int)
    small = tuple(slice(None, None, step) for step in steps)
    smooth = ndimage.uniform_filter(data, 2 * steps - 1)[small]
    level = HEAD_LEVEL * float(np.median(data[brain_mask]))
    head = _largest(smooth > level) | brain_mask[small]
    distance = ndimage.distance_transform_edt(
        ~ndimage.binary_fill_holes(head), sampling=sizes * steps
    )
    air = _enlarge(distance > GAP_MM, steps, data.shape)
    air[:, :, : np.flatnonzero(brain_mask.any(axis=(0, 1)))[0]] = False
    if air.sum() < MIN_VOXELS or not np.ptp(data[air]) > 0:
        return np.zeros(data.shape, dtype=bool)
    return air


def energy_ratio(data: NDArray[np.float32], brain_mask: Mask, air: Mask) -> float:
    """Return the mean energy of the brain over that of the air, in dB.

    FBER of Shehzad et al. 2015 (doi:10.3389/conf.fnins.2015.91.00047), with the
    brain for the head, as a logarithm. Noise and ghosts lower it. NaN without air.
    """
    if not air.any():
        return math.nan
    inside = np.square(data[brain_mask], dtype=float).mean()
    outside = np.square(data[air], dtype=float).mean()
    return float(10 * np.log10(inside / outside)) if outside > 0 else math.nan


def ghosting(data: NDArray[np.float32], air: Mask, affine: ArrayLike) -> float:
    """Return how much brighter the brightest air is than usual air, as intensity.

    The 95th percentile less the median of the air, averaged over 8 mm: ghosts of
    motion stay, noise goes. Divide by white matter's intensity. NaN without air.
    """
    if not air.any():
        return math.nan
    sizes = np.array(spacing_of(affine))
    steps = np.maximum(1, np.rint(GRID_MM / sizes)).astype(int)
    widths = np.maximum(1, np.rint(SMOOTHING_MM / sizes)).astype(int)
    small = tuple(slice(None, None, step) for step in steps)
    known = ndimage.uniform_filter(air.astype(np.float32), widths)[small]
    total = ndimage.uniform_filter(np.where(air, data, 0), widths)[small]
    usable = air[small] & (known > 0.25)
    if not usable.any():
        return math.nan
    middle, high = np.percentile(total[usable] / known[usable], (50, 95))
    return float(high - middle)


def _largest(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _enlarge(mask: Mask, steps: NDArray[np.int_], shape: tuple[int, ...]) -> Mask:
    """Repeat each voxel, and cut to `shape`."""
    for axis, step in enumerate(steps):
        mask = mask.repeat(step, axis)
    x, y, z = shape
    return np.ascontiguousarray(mask[:x, :y, :z])
