"""Where the strongest part of a map lies: against a region, and as peaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_neuropretrain.errors import ConfigError

STRONGEST_SHARE = 0.05
"""Share of the brain's voxels called strongest, by absolute value."""


@dataclass(frozen=True)
class Peak:
    """The largest value of one connected cluster.

    Parameters
    ----------
    value
        In the map's units, with its sign.
    x_mm, y_mm, z_mm
        Where, RAS mm of the map's affine (MNI mm on the template grid).
    voxels
        Size of the cluster.
    size_mm3
        The same in cubic millimetres.
    """

    value: float
    x_mm: float
    y_mm: float
    z_mm: float
    voxels: int
    size_mm3: float


def strongest_threshold(
    occlusion: NDArray[Any],
    brain_mask: NDArray[np.bool_],
    share: float = STRONGEST_SHARE,
) -> float:
    """Return the absolute value that a share of the brain's voxels reaches.

    Examples
    --------
    >>> values = np.arange(-50.0, 50.0)
    >>> strongest_threshold(values, np.ones(100, bool), share=0.05)
    48.0
    """
    values = np.sort(np.abs(occlusion[brain_mask]))[::-1]
    return float(values[_count(values.size, share) - 1])


def top_share_in_region(
    occlusion: NDArray[Any],
    brain_mask: NDArray[np.bool_],
    region: NDArray[np.bool_],
    share: float = STRONGEST_SHARE,
) -> tuple[float, float]:
    """Ask how much of the strongest part of a map lies inside a region.

    Parameters
    ----------
    occlusion
        Map (X, Y, Z); strength is the absolute value.
    brain_mask, region
        Boolean (X, Y, Z). What of the region lies outside the brain is left out.
    share
        Strongest share of the brain's voxels, 0 to 1.

    Returns
    -------
    inside
        Share of the strongest voxels that lie in the region. Where several are
        equally strong at the limit, each counts in part.
    chance
        Share of the brain that the region fills: what a random map would reach.

    Raises
    ------
    ConfigError
        If shapes differ or the brain mask is empty.

    Examples
    --------
    >>> strength = np.array([9.0, -8.0, 1.0, 1.0])
    >>> region = np.array([True, False, True, False])
    >>> top_share_in_region(strength, np.ones(4, bool), region, share=0.75)
    (0.5, 0.5)
    """
    if not occlusion.shape == brain_mask.shape == region.shape:
        raise ConfigError(
            f"The map has shape {occlusion.shape}, the brain mask {brain_mask.shape} "
            f"and the region {region.shape}; all three must lie on one grid."
        )
    if not brain_mask.any():
        raise ConfigError("The brain mask is empty; preprocess the scan again.")
    strength, marked = np.abs(occlusion[brain_mask]), region[brain_mask]
    limit = strongest_threshold(occlusion, brain_mask, share)
    above, tied = strength > limit, strength == limit
    wanted = _count(strength.size, share)
    hits = (marked & above).sum() + (wanted - above.sum()) * marked[tied].mean()
    return float(hits / wanted), float(marked.mean())


def find_peaks(
    occlusion: NDArray[Any], affine: ArrayLike, threshold: float, most: int = 20
) -> list[Peak]:
    """Return the peak of each cluster beyond a threshold, strongest first.

    Parameters
    ----------
    occlusion
        Map (X, Y, Z); positive and negative clusters are kept apart.
    affine
        Voxel to RAS mm (4, 4).
    threshold
        Smallest absolute value, positive, in the map's units.
    most
        Clusters returned at most.
    """
    peaks = []
    for sign in (1, -1):
        strength = sign * occlusion
        labels, count = ndimage.label((strength >= threshold) & (strength > 0))
        numbers = range(1, count + 1)
        places = ndimage.maximum_position(strength, labels, numbers) if count else []
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        peaks += [
            _peak(occlusion, np.asarray(affine), place, int(size))
            for place, size in zip(places, sizes, strict=True)
        ]
    return sorted(peaks, key=lambda peak: -abs(peak.value))[:most]


def _count(voxels: int, share: float) -> int:
    return max(1, round(voxels * share))


def _peak(
    occlusion: NDArray[Any], affine: NDArray[Any], place: tuple[int, ...], size: int
) -> Peak:
    x, y, z = (float(value) for value in (affine @ [*place, 1])[:3].round(1))
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    value = float(f"{float(occlusion[place]):.6g}")
    return Peak(value, x, y, z, size, round(size * voxel_mm3, 3))
