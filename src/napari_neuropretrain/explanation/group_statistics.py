"""Mean maps of a group, and differences between groups, tested by permutation.

Nichols and Holmes (2002), "Nonparametric permutation tests for functional
neuroimaging": the largest absolute t over all voxels, over many shuffles, gives
p-values that are corrected for the number of voxels. Signs are flipped for one group,
members are exchanged for two.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OneGroup:
    """What the members of a group have in common, voxel by voxel.

    Parameters
    ----------
    n
        Members.
    mean, sd, se
        (V,) mean, standard deviation and standard error; NaN for one member.
    t
        (V,) mean divided by its standard error; 0 where all are equal.
    p
        (V,) two-sided, corrected for all voxels; NaN for fewer than two members.
    shuffles
        Sign flips that were tried, the true one counted.
    """

    n: int
    mean: Numbers
    sd: Numbers
    se: Numbers
    t: Numbers
    p: Numbers
    shuffles: int


@dataclass(frozen=True, eq=False)
class TwoGroups:
    """One group less another, voxel by voxel.

    Parameters
    ----------
    n
        Members of both.
    difference, t, p
        (V,) difference of the means, Student's t, and its two-sided p corrected for
        all voxels; NaN for p where a group has fewer than two members.
    shuffles
        Exchanges that were tried, the true one counted.
    """

    n: tuple[int, int]
    difference: Numbers
    t: Numbers
    p: Numbers
    shuffles: int


def one_group(values: Numbers, permutations: int, seed: int = 0) -> OneGroup:
    """Return mean and spread of a group, and test the mean against 0.

    Parameters
    ----------
    values
        (N, V): a map of each member. Maps of one person must be averaged before.
    permutations
        Sign flips; all of them where there are fewer. 0 for no p.
    seed
        Of the flips.

    Examples
    --------
    >>> found = one_group(np.array([[1.0], [2.0], [3.0]]), 100)
    >>> float(found.mean[0]), float(found.sd[0]), float(found.t[0].round(4))
    (2.0, 1.0, 3.4641)
    >>> float(found.p[0]), found.shuffles  # 2 of the 8 flips are as large
    (0.25, 8)
    """
    count = len(values)
    mean, squares = values.mean(axis=0), (values**2).sum(axis=0)
    nothing = np.full(mean.shape, np.nan)
    if count < 2:
        return OneGroup(count, mean, nothing, nothing, nothing, nothing, 0)
    sd = values.std(axis=0, ddof=1)
    t = _t_of_means(mean, squares, count)
    if not permutations:
        return OneGroup(count, mean, sd, sd / count**0.5, t, nothing, 0)
    signs = _signs(count, permutations, seed)
    largest = [
        float(np.abs(_t_of_means(row @ values / count, squares, count)).max())
        for row in signs
    ]
    p = _corrected(t, np.array(largest))
    return OneGroup(count, mean, sd, sd / count**0.5, t, p, len(signs))


def two_groups(
    values: Numbers, first: NDArray[np.bool_], permutations: int, seed: int = 0
) -> TwoGroups:
    """Return the difference of two groups, and test it.

    Parameters
    ----------
    values
        (N, V): a map of each member of both.
    first
        (N,) whether a member is of the first group.
    permutations
        Exchanges of members; all of them where there are fewer. 0 for no p.
    seed
        Of the exchanges.

    Examples
    --------
    >>> values = np.array([[1.0], [2.0], [5.0], [6.0]])
    >>> found = two_groups(values, np.array([False, False, True, True]), 100)
    >>> float(found.difference[0]), float(found.t[0].round(3))
    (4.0, 5.657)
    >>> round(float(found.p[0]), 3), found.shuffles  # 2 of the 6 exchanges
    (0.333, 6)
    """
    counts = int(first.sum()), int((~first).sum())
    difference = values[first].mean(axis=0) - values[~first].mean(axis=0)
    nothing = np.full(difference.shape, np.nan)
    if min(counts) < 2:
        return TwoGroups(counts, difference, nothing, nothing, 0)
    totals = values.sum(axis=0), (values**2).sum(axis=0)
    t = _t_of_two(first, values, totals)
    if not permutations:
        return TwoGroups(counts, difference, t, nothing, 0)
    shuffled = _exchanges(first, permutations, seed)
    largest = [float(np.abs(_t_of_two(one, values, totals)).max()) for one in shuffled]
    p = _corrected(t, np.array(largest))
    return TwoGroups(counts, difference, t, p, len(shuffled))


def _t_of_means(mean: Numbers, squares: Numbers, count: int) -> Numbers:
    """Return t from mean and sum of squares, which no sign flip changes."""
    variance = (squares - count * mean**2) / (count - 1)
    return _divided(mean, np.sqrt(np.maximum(variance, 0) / count), squares)


def _t_of_two(
    first: NDArray[np.bool_], values: Numbers, totals: tuple[Numbers, Numbers]
) -> Numbers:
    """Return Student's t, with the variance pooled over both groups."""
    sums, squares = totals
    n_first, n_second = int(first.sum()), int((~first).sum())
    mean_first = first.astype(float) @ values / n_first
    mean_second = (sums - n_first * mean_first) / n_second
    within = squares - n_first * mean_first**2 - n_second * mean_second**2
    pooled = np.maximum(within, 0) / (n_first + n_second - 2)
    error = np.sqrt(pooled * (1 / n_first + 1 / n_second))
    return _divided(mean_first - mean_second, error, squares)


def _divided(top: Numbers, bottom: Numbers, squares: Numbers) -> Numbers:
    """Divide where the spread is more than rounding; else 0."""
    real = bottom > 1e-7 * np.sqrt(squares)
    found = np.zeros_like(top)
    np.divide(top, bottom, out=found, where=real)
    return found


def _signs(count: int, permutations: int, seed: int) -> Numbers:
    """Return flips (B, N), the true one first."""
    if 2**count <= permutations:
        return np.array(list(product((1.0, -1.0), repeat=count)))
    random = np.random.default_rng(seed)
    drawn = random.choice((1.0, -1.0), (permutations, count))
    return np.vstack([np.ones(count), drawn])


def _exchanges(
    first: NDArray[np.bool_], permutations: int, seed: int
) -> list[NDArray[np.bool_]]:
    """Return memberships, the true one among them."""
    count, members = first.size, int(first.sum())
    if comb(count, members) <= permutations:
        every = [list(one) for one in combinations(range(count), members)]
        return [np.isin(np.arange(count), one) for one in every]
    random = np.random.default_rng(seed)
    return [first, *(random.permutation(first) for _ in range(permutations))]


def _corrected(t: Numbers, largest: Numbers) -> Numbers:
    """Return the share of shuffles whose largest value reaches that of a voxel."""
    ordered = np.sort(largest)
    # Values that differ by rounding are equal.
    below = np.searchsorted(ordered, np.abs(t) * (1 - 1e-9), side="left")
    return (ordered.size - below) / ordered.size
