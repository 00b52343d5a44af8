"""CSF, grey and white matter of a bias-corrected brain, by intensity alone.

Good enough to measure a scan's contrast and to find inner white matter; not a
segmentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tissues:
    """Mean, deviation and share of CSF, grey and white matter, dark to bright."""

    means: tuple[float, float, float]
    deviations: tuple[float, float, float]
    shares: tuple[float, float, float]


def split_tissues(values: NDArray[np.float32], steps: int = 40) -> Tissues:
    """Fit three Gaussians to the intensities of a brain (EM on 256 bins).

    Parameters
    ----------
    values
        Bias-corrected brain intensities (N,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> brain = [rng.normal(m, 4, n) for m, n in ((20, 2000), (60, 5000), (90, 4000))]
    >>> [round(mean / 10) for mean in split_tissues(np.concatenate(brain)).means]
    [2, 6, 9]
    """
    low, high = np.percentile(values, (0.1, 99.9))
    if not low < high:
        return Tissues((math.nan,) * 3, (math.nan,) * 3, (math.nan,) * 3)
    counts, edges = np.histogram(values, 256, (low, high))
    centres, weights = (edges[1:] + edges[:-1]) / 2, counts / counts.sum()
    means = np.interp((0.08, 0.4, 0.8), np.cumsum(weights), centres)
    deviations = np.full(3, (high - low) / 10)
    shares = np.array([0.15, 0.45, 0.4])
    for _ in range(steps):
        distance = (centres[:, None] - means) / deviations
        likely = shares * np.exp(-0.5 * distance**2) / deviations + 1e-12
        likely *= (weights / likely.sum(axis=1))[:, None]
        shares = likely.sum(axis=0)
        means = (likely * centres[:, None]).sum(axis=0) / shares
        spread = likely * (centres[:, None] - means) ** 2
        deviations = np.sqrt(spread.sum(axis=0) / shares) + (high - low) / 1000
    order = np.argsort(means)
    csf, grey, white = (
        (float(means[i]), float(deviations[i]), float(shares[i])) for i in order
    )
    means3, deviations3, shares3 = zip(csf, grey, white, strict=True)
    return Tissues(means3, deviations3, shares3)


def contrast_to_noise(tissues: Tissues) -> float:
    """Return how far white and grey matter lie apart, in their joint deviation.

    CNR of Magnotta & Friedman 2006 (doi:10.1016/j.neurobiolaging.2005.08.016),
    without the air. No unit; falls with noise, motion and blur.
    """
    _, grey, white = tissues.means
    _, grey_deviation, white_deviation = tissues.deviations
    return (white - grey) / math.hypot(grey_deviation, white_deviation)


def white_matter(
    image: NDArray[np.float32], brain_mask: Mask, tissues: Tissues
) -> Mask:
    """Mark white matter (X, Y, Z) one voxel away from everything else."""
    _, grey, white = tissues.means
    bright = (image > (grey + white) / 2) & (
        image < white + 2.5 * tissues.deviations[2]
    )
    return np.asarray(ndimage.binary_erosion(bright & brain_mask))
