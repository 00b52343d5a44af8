"""Areas under ROC curves without resampling: DeLong's variance and test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from napari_neuropretrain.evaluation.weighted import Numbers


@dataclass(frozen=True)
class AreaTest:
    """The difference of two areas, and how probable it is by chance."""

    difference: float
    z: float
    p: float


def delong_covariance(
    scores: ArrayLike, labels: ArrayLike, participants: ArrayLike | None = None
) -> tuple[Numbers, NDArray[np.float64]]:
    """Return areas (K,) of K models on the same scans, and their covariance (K, K).

    DeLong, DeLong and Clarke-Pearson (1988), by midranks as in Sun and Xu (2014). Where
    participants have several scans, those are taken together as in Obuchowski (1997),
    "Nonparametric analysis of clustered ROC curve data", equations 4 to 7, which is the
    same with one scan each.

    Parameters
    ----------
    scores
        (K, N) or (N,), higher for the positive group.
    labels
        (N,) of 0 and 1; both groups need at least two participants for a variance.
    participants
        (N,) who each scan is of; by default each is of another.

    Returns
    -------
    tuple
        Areas and covariance; NaN where a group is too small.
    """
    score = np.atleast_2d(np.asarray(scores, float))
    positive = np.asarray(labels, float) > 0.5
    who = np.arange(positive.size) if participants is None else np.asarray(participants)
    who = np.unique(who, return_inverse=True)[1].reshape(-1)
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return np.full(len(score), np.nan), np.full((len(score),) * 2, np.nan)
    parts = [_components(one, positive) for one in score]
    areas = np.array([above.mean() for above, _ in parts])
    # Sums over the scans of each participant, less what is expected: (K, P).
    above = _sums(
        [one - area for (one, _), area in zip(parts, areas, strict=True)],
        who[positive],
        who,
    )
    below = _sums(
        [one - area for (_, one), area in zip(parts, areas, strict=True)],
        who[~positive],
        who,
    )
    with_ones = len(np.unique(who[positive]))
    with_zeros = len(np.unique(who[~positive]))
    people = int(who.max()) + 1
    if min(with_ones, with_zeros) < 2:
        return areas, np.full((len(score),) * 2, np.nan)
    covariance = with_ones / (with_ones - 1) / ones**2 * (above @ above.T)
    covariance += with_zeros / (with_zeros - 1) / zeros**2 * (below @ below.T)
    mixed = above @ below.T
    covariance += people / (people - 1) / (ones * zeros) * (mixed + mixed.T)
    return areas, covariance


def _components(score: Numbers, positive: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Return the share of the other group that each scan is rightly above or below."""
    ones, zeros = score[positive], score[~positive]
    among_all = rankdata(score)
    above = (among_all[positive] - rankdata(ones)) / zeros.size
    below = 1 - (among_all[~positive] - rankdata(zeros)) / ones.size
    return above, below


def _sums(
    values: list[Numbers], members: NDArray[np.int64], who: NDArray[np.int64]
) -> Numbers:
    people = int(who.max()) + 1
    return np.stack([np.bincount(members, one, people) for one in values])


def delong_interval(
    area: float, variance: float, level: float = 0.95
) -> tuple[float, float] | None:
    """Return an interval of an area, on the logit scale, so that it stays below 1.

    Pepe (2003), "The statistical evaluation of medical tests", section 5.2.3. None
    where the area is 0 or 1 or the variance is not known.

    Examples
    --------
    >>> low, high = delong_interval(0.8, 0.0016)
    >>> round(low, 3), round(high, 3)
    (0.71, 0.867)
    """
    if not 0 < area < 1 or not variance > 0:
        return None
    centre = math.log(area / (1 - area))
    spread = math.sqrt(variance) / (area * (1 - area)) * norm.ppf((1 + level) / 2)
    low, high = (1 / (1 + math.exp(-(centre + sign * spread))) for sign in (-1, 1))
    return float(low), float(high)


def delong_test(
    one: ArrayLike,
    other: ArrayLike,
    labels: ArrayLike,
    participants: ArrayLike | None = None,
) -> AreaTest:
    """Test whether two models have the same area on the same scans, two-sided.

    Parameters are those of `delong_covariance`; p is NaN where there is no variance.
    """
    areas, covariance = delong_covariance(np.stack([one, other]), labels, participants)
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if not variance > 1e-15:
        return AreaTest(difference, math.nan, 1.0 if difference == 0 else math.nan)
    z = difference / math.sqrt(variance)
    return AreaTest(difference, z, float(2 * norm.sf(abs(z))))
