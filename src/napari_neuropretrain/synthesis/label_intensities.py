"""Intensities and slices of T1s painted on label maps, as in SynthSeg.

Each volume draws a Gaussian for each tissue or structure (Billot et al., SynthSeg,
Medical Image Analysis 2023, doi:10.1016/j.media.2023.102789, section 3.2), in the
order of T1 contrast or in any, and may be acquired in thick slices (section 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.synthesis.anatomy import FloatArray

Contrast = Literal["t1", "random"]

FLUID, GREY, DEEP, WHITE = 0.26, 0.70, 0.78, 0.95
"""Middle of the T1 intensities; deep nuclei lie between grey and white matter."""
SPREAD = 0.06
"""Standard deviation of the mean of a tissue, from volume to volume."""
LEAST_STEPS = (0.25, 0.12)
"""Grey matter is brighter than fluid, and darker than white matter, by so much."""
_TISSUES = {
    **dict.fromkeys((0, 4, 5, 14, 15, 24, 43, 44, 72), 0),
    **dict.fromkeys((10, 11, 12, 13, 49, 50, 51, 52), 2),
    **dict.fromkeys((2, 7, 16, 28, 41, 46, 60, 85), 3),
}
"""Tissue of FreeSurfer labels: fluid, deep nuclei, white; all others are grey (1)."""
_SHARED = {24: 0} | dict(
    zip(
        (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60),
        (2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 26, 28),
        strict=True,
    )
)
"""Structures on the right with their partner on the left; fluid and closed sulci."""
_FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True, eq=False)
class Intensities:
    """The Gaussian of each label.

    Parameters
    ----------
    means, deviations
        float32 (labels,), indexed by the label.
    """

    means: FloatArray
    deviations: FloatArray


def draw_intensities(
    rng: np.random.Generator, count: int, contrast: Contrast
) -> Intensities:
    """Draw the intensities of the labels 0 to `count` - 1.

    Parameters
    ----------
    rng
        Source of randomness.
    count
        How many labels there are.
    contrast
        ``t1``: one mean for each tissue, fluid darkest and white matter brightest.
        ``random``: one for each structure, anywhere; its two sides share it.
    """
    labels = range(count)
    if contrast == "t1":
        tissue = np.array([_TISSUES.get(label, 1) for label in labels])
        means, deviations = draw_t1(rng)[tissue], rng.uniform(0.01, 0.05, 4)[tissue]
    else:
        side = np.array([_SHARED.get(label, label) for label in labels])
        means = rng.uniform(0.1, 1.0, count)[side]
        deviations = rng.uniform(0.01, 0.06, count)[side]
    uneven = rng.normal(0, 0.015, count)
    uneven[0] = 0  # what closed sulci hold, on both sides
    return Intensities(
        (means + uneven).astype(np.float32), deviations.astype(np.float32)
    )


def draw_t1(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the mean of fluid, grey matter, deep nuclei and white matter, in order."""
    middle = np.array([FLUID, GREY, DEEP, WHITE])
    while True:
        fluid, grey, deep, white = drawn = rng.normal(middle, SPREAD)
        apart = grey - fluid > LEAST_STEPS[0] and white - grey > LEAST_STEPS[1]
        if fluid > 0 and apart and grey < deep < white:
            return np.asarray(drawn)


def acquire_in_slices(
    rng: np.random.Generator, t1: FloatArray, spacing_mm: float, thickest_mm: float
) -> FloatArray:
    """Lose resolution along a random axis, as a scan of thick slices does.

    Parameters
    ----------
    rng
        Draws axis, thickness and place of the slices.
    t1
        Intensities (X, Y, Z).
    spacing_mm
        Voxel size; slices are at least as thick.
    thickest_mm
        Thickest slice; below the spacing nothing is lost.
    """
    axis, share, start = int(rng.integers(3)), rng.random(), rng.random()
    if thickest_mm <= spacing_mm:
        return t1
    thickness = spacing_mm + share * (thickest_mm - spacing_mm)
    step = slice_operator(t1.shape[axis], thickness / spacing_mm, start)
    moved = np.tensordot(step.astype(np.float32), t1, axes=(1, axis))
    return np.ascontiguousarray(np.moveaxis(moved, 0, axis))


def slice_operator(count: int, thickness: float, start: float) -> NDArray[np.float64]:
    """Return what slicing and interpolating back does to a line of voxels.

    A slice is the mean under a Gaussian as wide (FWHM) as the slice is thick; between
    the middles of slices values are interpolated linearly.

    Parameters
    ----------
    count
        Voxels of the line.
    thickness
        Of a slice and from one to the next, in voxels.
    start
        Place of the first slice, 0 to 1 thickness before the line.

    Returns
    -------
    NDArray
        (count, count); each row sums to 1.

    Examples
    --------
    >>> slice_operator(50, 3.0, 0.5).sum(1).round(6).min().item()
    1.0
    """
    voxels = np.arange(count)
    middles = (np.arange(np.ceil(count / thickness) + 2) - start) * thickness
    sigma = thickness / _FWHM_PER_SIGMA
    away = (voxels[None, :] - middles.clip(0, count - 1)[:, None]) / sigma
    profile = np.exp(-0.5 * away**2)
    profile /= profile.sum(1, keepdims=True)
    place = (voxels - middles[0]) / thickness
    lower = np.floor(place).astype(int)
    share = place - lower
    back = np.zeros((count, len(middles)))
    back[voxels, lower] = 1 - share
    back[voxels, lower + 1] += share
    return np.asarray(back @ profile)
