"""Confidence intervals by drawing participants again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from napari_neuropretrain.evaluation.weighted import Estimates, Numbers

Interval: TypeAlias = tuple[float, float]
Estimator: TypeAlias = Callable[[Numbers], Estimates]
"""From weights (B, N) on the scans to metrics (B,)."""

_MOST_NUMBERS = 2_000_000
_MOST_BLOCKS = 1000
_LEAST_DEFINED = 0.9


@dataclass(frozen=True, eq=False)
class Resampled:
    """Metrics of the scans, of bootstrap samples and of jackknife samples.

    Parameters
    ----------
    estimate
        Of all scans.
    replicates
        (B,) of the bootstrap.
    left_out
        (P,), each without some of the participants.
    participants
        How many there are.
    """

    estimate: Mapping[str, float]
    replicates: Estimates
    left_out: Estimates
    participants: int

    def interval(self, metric: str, level: float = 0.95) -> Interval | None:
        """Return the BCa interval of a metric; see `bca_interval`."""
        return bca_interval(
            self.estimate[metric], self.replicates[metric], self.left_out[metric], level
        )


def resample(
    estimator: Estimator, participants: ArrayLike, replicates: int, seed: int
) -> Resampled:
    """Bootstrap and jackknife metrics over participants.

    A participant is drawn with all their scans, because scans of one person are not
    independent (cluster bootstrap; Davison and Hinkley 1997, section 3.8).

    Parameters
    ----------
    estimator
        From weights to metrics; must not depend on anything random.
    participants
        (N,) who each scan is of.
    replicates
        Bootstrap samples.
    seed
        Two models that are resampled with the same participants and seed see the
        same samples, which makes a comparison paired.
    """
    who = np.unique(np.asarray(participants), return_inverse=True)[1].reshape(-1)
    people = int(who.max()) + 1 if who.size else 0
    ones = estimator(np.ones((1, who.size)))
    drawn = (draws[:, who] for draws in _draws(people, replicates, seed))
    left = (draws[:, who] for draws in _without_some(people))
    return Resampled(
        {name: float(values[0]) for name, values in ones.items()},
        _all(estimator, drawn),
        _all(estimator, left),
        people,
    )


def _draws(people: int, replicates: int, seed: int) -> Iterator[Numbers]:
    """Yield how often each participant was drawn, (some, people)."""
    random = np.random.default_rng(seed)
    rows = max(1, _MOST_NUMBERS // max(1, people))
    for start in range(0, replicates, rows):
        count = min(rows, replicates - start)
        drawn = random.integers(0, people, (count, people))
        drawn += people * np.arange(count)[:, None]
        counts = np.bincount(drawn.reshape(-1), minlength=count * people)
        yield counts.reshape(count, people).astype(float)


def _without_some(people: int) -> Iterator[Numbers]:
    """Yield weights that leave out one participant, or a block where many are."""
    blocks = min(people, _MOST_BLOCKS)
    block_of = np.arange(people) * blocks // max(1, people)
    rows = max(1, _MOST_NUMBERS // max(1, people))
    for start in range(0, blocks, rows):
        here = np.arange(start, min(start + rows, blocks))
        yield (block_of[None, :] != here[:, None]).astype(float)


def _all(estimator: Estimator, weightings: Iterator[Numbers]) -> Estimates:
    parts = [estimator(weights) for weights in weightings]
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def bca_interval(
    estimate: float,
    replicates: NDArray[np.float64],
    left_out: NDArray[np.float64],
    level: float = 0.95,
) -> Interval | None:
    """Return the bias-corrected and accelerated interval.

    Efron (1987), "Better bootstrap confidence intervals"; Efron and Tibshirani
    (1993), equations 14.9 to 14.15.

    Parameters
    ----------
    estimate
        Of all scans.
    replicates
        (B,) of the bootstrap; those where it is not defined are left aside.
    left_out
        (P,) of the jackknife.
    level
        Share of such intervals that hold the true value.

    Returns
    -------
    tuple or None
        None where the bootstrap says nothing: more than a tenth of the samples
        have no value, or all have the same, as when every scan was called rightly.
    """
    known = replicates[np.isfinite(replicates)]
    enough = known.size and known.size >= _LEAST_DEFINED * replicates.size
    if not np.isfinite(estimate) or not enough or np.ptp(known) < 1e-12:
        return None
    below = np.mean(known < estimate - 1e-12)
    same = np.mean(np.abs(known - estimate) <= 1e-12)
    # Ties count half: metrics of few scans have few values.
    centre = norm.ppf(np.clip(below + same / 2, 1e-6, 1 - 1e-6))
    acceleration = _acceleration(left_out[np.isfinite(left_out)])
    bounds = norm.ppf([(1 - level) / 2, (1 + level) / 2]) + centre
    shares = norm.cdf(centre + bounds / np.maximum(1 - acceleration * bounds, 1e-6))
    low, high = np.quantile(known, shares)
    return float(low), float(high)


def _acceleration(left_out: NDArray[np.float64]) -> float:
    if left_out.size < 3:
        return 0.0
    distance = left_out.mean() - left_out
    squares = float((distance**2).sum())
    if squares < 1e-24:
        return 0.0
    return float((distance**3).sum() / (6 * squares**1.5))


def two_sided_p(differences: NDArray[np.float64]) -> float:
    """Return how rarely bootstrapped differences (B,) lie on the other side of 0.

    Twice the smaller share of samples at or beyond 0, never below 2 / (B + 1).

    Examples
    --------
    >>> two_sided_p(np.array([0.1, 0.2, -0.1] + [0.3] * 96))
    0.04
    """
    known = differences[np.isfinite(differences)]
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return float(min(1.0, 2 * (smaller + 1) / (known.size + 1)))
