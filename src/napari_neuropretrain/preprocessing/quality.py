"""How good a scan is: noise, contrast, motion, shading, and whether it is whole.

The tissue is found on the aligned image, where the shading is gone; noise and
shading are then read from the raw scan at the same places. All measures follow
MRIQC (Esteban et al. 2017, doi:10.1371/journal.pone.0184661) where it has one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.air import energy_ratio, find_air, ghosting
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.preprocessing.resampling import voxel_map
from napari_neuropretrain.preprocessing.tissues import (
    contrast_to_noise,
    split_tissues,
    white_matter,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MEASURES = (
    "snr",
    "cnr",
    "smoothness_mm",
    "energy_ratio",
    "ghosting",
    "shading",
    "clipped_share",
    "cut_cm2",
    "asymmetry",
)
"""Names that `measure_quality` gives, as in the table and the docs."""
REFERENCE_VOXEL_MM3 = 8.0
"""Noise is stated for 2 mm voxels, so that scanners can be compared."""
MIN_POINTS = 200
"""Fewer voxels give no number."""
TAPER_MM, TAPER = 8.0, 0.6
"""A cut brain has more than this share of the area it has so much further in."""
BLOCK_MM = 16.0
"""The shading is averaged over cubes of this edge."""


def measure_quality(volume: Volume, done: Preprocessed) -> dict[str, float]:
    """Measure one preprocessed scan (0.2 s at 2 mm, 1 s at 1 mm).

    Parameters
    ----------
    volume
        The raw scan.
    done
        What became of it.

    Returns
    -------
    dict
        One number for each of `MEASURES`; NaN where it cannot be measured, such as
        the air of a scan whose background was removed.
    """
    tissues = split_tissues(done.image[done.brain_mask])
    white = white_matter(done.image, done.brain_mask, tissues)
    places = scan_voxels(white, done, volume)
    signal = _median(volume.data[tuple(places.T)])
    air = find_air(volume.data, done.scan_mask, volume.affine)
    found = {
        "snr": signal_to_noise(volume.data, places, volume.affine),
        "cnr": contrast_to_noise(tissues),
        "smoothness_mm": smoothness_mm(done.image, done.brain_mask, done.affine),
        "energy_ratio": energy_ratio(volume.data, done.scan_mask, air),
        "ghosting": _ratio(ghosting(volume.data, air, volume.affine), signal),
        "shading": shading(volume.data, places, volume.affine),
        "clipped_share": clipped_share(volume.data, done.scan_mask),
        "cut_cm2": cut_cm2(volume.data, done.scan_mask, volume.affine),
        "asymmetry": asymmetry(done.brain_mask, done.affine),
    }
    return {name: float(f"{value:.5g}") for name, value in found.items()}


def scan_voxels(places: Mask, done: Preprocessed, volume: Volume) -> NDArray[np.intp]:
    """Return the scan's voxels (N, 3) under voxels of the template's grid.

    Those on the rim of the view are left out, so that each has six neighbours.
    """
    to_scan = voxel_map(volume.affine, done.transform, done.affine)
    points = np.argwhere(places) @ to_scan[:3, :3].T + to_scan[:3, 3]
    voxels = np.unique(np.rint(points).astype(np.intp), axis=0)
    last = np.array(volume.data.shape) - 1
    inner = ((voxels > 0) & (voxels < last)).all(axis=1)
    return np.asarray(voxels[inner])


def signal_to_noise(
    data: NDArray[np.float32], places: NDArray[np.intp], affine: ArrayLike
) -> float:
    """Return white matter's median over its noise, per 2 mm voxel. No unit.

    The noise is what a voxel differs from its six neighbours (pseudo-residuals,
    Coupe et al. 2008, doi:10.1109/TMI.2007.906087), by the median, so that edges
    and shading hardly count. It is scaled to a voxel of 8 mm³ as if independent.

    Parameters
    ----------
    data
        Raw scan (X, Y, Z).
    places
        Voxels (N, 3) of white matter, none on the rim.
    affine
        Voxel to RAS mm (4, 4).
    """
    if len(places) < MIN_POINTS:
        return math.nan
    own = data[tuple(places.T)].astype(float)
    around = np.zeros(len(places))
    for step in (*np.eye(3, dtype=int), *-np.eye(3, dtype=int)):
        around += data[tuple((places + step).T)]
    residual = math.sqrt(6 / 7) * (own - around / 6)
    noise = 1.4826 * _median(np.abs(residual - _median(residual)))
    voxels = REFERENCE_VOXEL_MM3 / math.prod(spacing_of(affine))
    return _median(own) / noise * math.sqrt(voxels) if noise > 0 else math.nan


def smoothness_mm(
    image: NDArray[np.float32], brain_mask: Mask, affine: ArrayLike
) -> float:
    """Return the width (FWHM, mm) of the brain's texture; blur and motion widen it.

    From the variance of neighbours' differences (Forman et al. 1995,
    doi:10.1002/mrm.1910330508), on the aligned image.
    """
    inner = ndimage.binary_erosion(brain_mask)
    variance = float(image[inner].var()) if inner.any() else 0.0
    if not variance > 0:
        return math.nan
    widths = []
    for axis, size in enumerate(spacing_of(affine)):
        first, second = _neighbours(inner, axis)
        difference = np.diff(image, axis=axis)[first & second]
        alike = 1 - float(difference.var()) / (2 * variance)
        alike = min(max(alike, 1e-3), 1 - 1e-9)
        widths.append(size * math.sqrt(-2 * math.log(2) / math.log(alike)))
    return math.prod(widths) ** (1 / 3)


def shading(
    data: NDArray[np.float32], places: NDArray[np.intp], affine: ArrayLike
) -> float:
    """Return how much raw white matter differs from place to place. No unit.

    90 % range of the means of cubes of 16 mm over their median: 0.3 says that the
    coil makes some places 30 % brighter than others. N4 removes it.
    """
    if len(places) < MIN_POINTS:
        return math.nan
    blocks = (places * np.array(spacing_of(affine)) // BLOCK_MM).astype(int)
    _, block, counts = np.unique(
        blocks, axis=0, return_inverse=True, return_counts=True
    )
    sums = np.bincount(block.ravel(), data[tuple(places.T)])
    means = (sums / counts)[counts >= 10]
    if len(means) < 10:
        return math.nan
    low, middle, high = np.percentile(means, (5, 50, 95))
    return _ratio(float(high - low), float(middle))


def clipped_share(data: NDArray[np.float32], brain_mask: Mask) -> float:
    """Return the share of the brain at the scan's largest value, 0 to 1.

    Examples
    --------
    >>> clipped_share(np.array([1.0, 255.0, 255.0, 3.0]), np.array([1, 1, 1, 1]) > 0)
    0.5
    """
    return float((data[brain_mask] >= data.max()).mean())


def cut_cm2(data: NDArray[np.float32], brain_mask: Mask, affine: ArrayLike) -> float:
    """Return the area (cm²) where the brain is cut off by the edge of the view.

    The view ends where the last slice with anything in it ends. A brain that tapers
    off there, as that of a stripped scan does, is not cut.
    """
    sizes = spacing_of(affine)
    total = 0.0
    for axis, size in enumerate(sizes):
        others = tuple(other for other in range(3) if other != axis)
        areas = brain_mask.sum(axis=others) * math.prod(sizes) / size / 100
        filled = np.flatnonzero(np.ptp(data, axis=others) > 0)
        inwards = max(1, round(TAPER_MM / size))
        ends = ((filled[0], filled[0] + inwards), (filled[-1], filled[-1] - inwards))
        total += sum(
            float(areas[end])
            for end, inner in ends
            if areas[end] > TAPER * areas[min(max(inner, 0), len(areas) - 1)]
        )
    return total


def asymmetry(brain_mask: Mask, affine: NDArray[np.float64]) -> float:
    """Return (right - left) / (right + left) of the aligned brain's volume, -1 to 1.

    Examples
    --------
    >>> grid = np.diag([1.0, 1, 1, 1])
    >>> grid[0, 3] = -1.5
    >>> asymmetry(np.array([1, 1, 0, 1]).reshape(4, 1, 1) > 0, grid)
    -0.3333333333333333
    """
    x = np.arange(brain_mask.shape[0]) * affine[0, 0] + affine[0, 3]
    columns = brain_mask.sum(axis=(1, 2))
    right, left = columns[x > 0].sum(), columns[x < 0].sum()
    return float((right - left) / max(right + left, 1))


def _ratio(value: float, unit: float) -> float:
    return value / unit if unit > 0 else math.nan


def _median(values: NDArray[np.floating]) -> float:
    return float(np.median(values)) if values.size else math.nan


def _neighbours(mask: Mask, axis: int) -> tuple[Mask, Mask]:
    last = mask.shape[axis] - 1
    return mask.take(range(last), axis), mask.take(range(1, last + 1), axis)
