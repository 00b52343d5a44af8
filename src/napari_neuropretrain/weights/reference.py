"""What a model file keeps of its training cohort, to compare new scans with.

Only sorted numbers are kept, each list by itself: no line of it belongs to a person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from napari_neuropretrain.config.base import Config

MOST_NUMBERS = 501
"""A longer list is kept as so many of its order statistics."""
LEAST_SCANS = 8
"""A cohort smaller than this says nothing about what is usual."""
PROFILE_SHARES = tuple(round(share, 2) for share in np.arange(0.02, 0.99, 0.04))
"""Shares of the brain's voxels at which the intensity profile is read."""


class Reference(Config):
    """Outputs, labels, errors and images of a training cohort, as sorted numbers."""

    outputs: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Predictions for the training scans by group; numbers have one group, "all"."""
    labels: tuple[float, ...] = ()
    """Labels of the training scans, for numbers."""
    residuals: tuple[float, ...] = ()
    """Absolute errors on the validation scans, all of them, for numbers."""
    profile: tuple[float, ...] = ()
    """Mean quantiles of the intensity of the training brains at `PROFILE_SHARES`."""
    profile_distances: tuple[float, ...] = ()
    """Distance of each training scan to the profile of the others."""
    quality: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Least and largest value of measures of the registration, of training scans."""


def thin(values: ArrayLike, most: int = MOST_NUMBERS) -> tuple[float, ...]:
    """Sort numbers (N,), and keep `most` evenly spaced ones of a longer list.

    Examples
    --------
    >>> thin([3, 1, 2]), thin(range(101), 3)
    ((1.0, 2.0, 3.0), (0.0, 50.0, 100.0))
    """
    ordered = np.sort(np.asarray(values, dtype=float).ravel())
    if len(ordered) > most:
        ordered = ordered[np.linspace(0, len(ordered) - 1, most).round().astype(int)]
    return tuple(float(f"{value:.5g}") for value in ordered)


def percentile_of(value: float, ordered: Sequence[float]) -> float | None:
    """Return how many per cent of sorted numbers lie below; ties count half.

    Returns
    -------
    float or None
        None if there are no numbers.

    Examples
    --------
    >>> percentile_of(2.0, (1.0, 2.0, 3.0, 4.0)), percentile_of(9.0, (1.0, 2.0))
    (37.5, 100.0)
    """
    if not len(ordered):
        return None
    below = int(np.searchsorted(ordered, value, side="left"))
    equal = int(np.searchsorted(ordered, value, side="right")) - below
    return 100.0 * (below + 0.5 * equal) / len(ordered)


def conformal_radius(residuals: Sequence[float], level: float) -> float | None:
    """Return the half width of a split conformal interval.

    The k-th smallest of n absolute errors with k = ceil((n + 1) * level), which a
    new error does not exceed with at least that probability, whatever its
    distribution, if the new scan comes from where the n came from (Lei et al. 2018,
    JASA 113:1094, theorem 2.2).

    Parameters
    ----------
    residuals
        Absolute errors on scans the network was not fitted to, in any order.
    level
        Wanted probability, between 0 and 1.

    Returns
    -------
    float or None
        None if there are too few errors for this level.

    Examples
    --------
    >>> conformal_radius(range(1, 20), 0.9), conformal_radius(range(1, 9), 0.9)
    (18.0, None)
    """
    # Rounded first: 10 * 0.9 must not become 9.000000000000002.
    rank = math.ceil(round((len(residuals) + 1) * level, 9))
    if rank > len(residuals):
        return None
    return float(np.sort(np.asarray(residuals, dtype=float))[rank - 1])


def intensity_profile(image: ArrayLike) -> NDArray[np.float64]:
    """Return quantiles of the brain's intensity at `PROFILE_SHARES`.

    Parameters
    ----------
    image
        A preprocessed volume, any shape; its background is exactly 0.
    """
    voxels = np.asarray(image)
    brain = voxels[voxels != 0]
    if brain.size == 0:
        return np.zeros(len(PROFILE_SHARES))
    found: NDArray[np.float64] = np.quantile(brain, PROFILE_SHARES).astype(float)
    return found


def profile_distance(one: ArrayLike, other: ArrayLike) -> float:
    """Return the mean distance of two profiles, in standard deviations of the brain.

    It approximates the Wasserstein-1 distance of the two histograms.
    """
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def summarise_profiles(
    profiles: Sequence[ArrayLike],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean profile, and the sorted distances of each to the others' mean.

    Leaving the own profile out makes the distances those of new scans.

    Examples
    --------
    >>> mean, distances = summarise_profiles([[0.0], [0.0], [3.0]])
    >>> mean, distances
    ((1.0,), (1.5, 1.5, 3.0))
    """
    stacked = np.asarray(profiles, dtype=float)
    count = len(stacked)
    if count < 2:
        return (), ()
    mean = stacked.mean(axis=0)
    distances = np.abs(stacked - mean).mean(axis=1) * count / (count - 1)
    return tuple(round(float(value), 5) for value in mean), thin(distances)
