"""Is a model better than chance? Tests by shuffling the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from napari_neuropretrain.evaluation.weighted import Numbers

_MOST_NUMBERS = 2_000_000


def area_p(
    scores: ArrayLike,
    labels: ArrayLike,
    participants: ArrayLike,
    permutations: int,
    seed: int,
) -> float:
    """Return how often shuffled labels give at least this area under the curve.

    Labels are shuffled between participants, with all their scans. The share counts
    the true labels as one more shuffle, so that it is never 0: Phipson and Smyth
    (2010), "Permutation p-values should never be zero".

    Parameters
    ----------
    scores
        (N,), higher for the positive group.
    labels
        (N,) of 0 and 1. A participant with both, who became ill, counts as 1.
    participants
        (N,) who each scan is of.
    permutations, seed
        How many shuffles, and of which random numbers.

    Returns
    -------
    float
        One-sided; NaN where only one group is there.
    """
    rank = rankdata(np.asarray(scores, float))
    true = np.asarray(labels, float)
    who, label = _label_of_people(true, participants, np.maximum.reduceat)

    def areas(given: Numbers) -> Numbers:
        ones = given.sum(axis=1)
        pairs = ones * (given.shape[1] - ones)
        above = given @ rank - ones * (ones + 1) / 2
        empty = np.full(ones.shape, np.nan)
        return np.asarray(np.divide(above, pairs, out=empty, where=pairs > 0))

    observed = float(areas(true[None])[0])
    shuffled = [areas(given) for given in _shuffles(label, who, permutations, seed)]
    return _share(np.concatenate(shuffled) >= observed - 1e-12, observed)


def error_p(
    predictions: ArrayLike,
    labels: ArrayLike,
    participants: ArrayLike,
    permutations: int,
    seed: int,
) -> float:
    """Return how often shuffled labels give at most this mean absolute error.

    Parameters and shuffles are those of `area_p`; a participant with several scans
    has the mean of their labels where they are shuffled.
    """
    given, true = np.asarray(predictions, float), np.asarray(labels, float)
    who, label = _label_of_people(true, participants, np.add.reduceat)
    label = label / np.bincount(who)
    observed = float(np.abs(given - true).mean())
    shuffled = [
        np.abs(given - one).mean(axis=1)
        for one in _shuffles(label, who, permutations, seed)
    ]
    return _share(np.concatenate(shuffled) <= observed + 1e-12, observed)


def _label_of_people(
    labels: Numbers, participants: ArrayLike, together: Callable[..., Numbers]
) -> tuple[NDArray[np.int64], Numbers]:
    """Return the number of each scan's participant (N,), and their labels (P,)."""
    who = np.unique(np.asarray(participants), return_inverse=True)[1].reshape(-1)
    order = np.argsort(who, kind="stable")
    starts = np.flatnonzero(np.diff(who[order], prepend=-1))
    return who, together(labels[order], starts)


def _shuffles(
    label: Numbers, who: NDArray[np.int64], permutations: int, seed: int
) -> Iterator[Numbers]:
    """Yield shuffled labels (some, N) of the scans."""
    random = np.random.default_rng((seed, 1))
    rows = max(1, _MOST_NUMBERS // max(1, who.size))
    for start in range(0, permutations, rows):
        count = min(rows, permutations - start)
        tiled = np.tile(label, (count, 1))
        yield random.permuted(tiled, axis=1)[:, who]


def _share(as_good: NDArray[np.bool_], observed: float) -> float:
    if not np.isfinite(observed):
        return float("nan")
    return float((1 + as_good.sum()) / (1 + as_good.size))
