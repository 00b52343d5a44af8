"""Numbers behind the figures: ROC curves with their band, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.evaluation.bootstrap import resample
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.evaluation.weighted import Estimates, Numbers

GRID = np.linspace(0, 1, 51)
"""False positive rates at which curves are averaged."""
_SAMPLES = 300


@dataclass(frozen=True, eq=False)
class Band:
    """A curve over `GRID`, and where it would be with other people.

    Parameters
    ----------
    mean, low, high
        (51,) true positive rates: the mean over seeds, and the pointwise interval.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def roc_band(seeds: Sequence[Predictions], level: float = 0.95) -> Band:
    """Average the ROC curves of the seeds at equal false positive rates.

    Fawcett (2006), "An introduction to ROC analysis", section 9.1; the band is the
    percentile bootstrap over participants.
    """
    people = np.concatenate([one.participants for one in seeds])
    ends = np.cumsum([one.labels.size for one in seeds])

    def estimate(weights: Numbers) -> Estimates:
        pieces = np.split(weights, ends[:-1], axis=1)
        curves = np.mean(
            [roc_curves(one, part) for one, part in zip(seeds, pieces, strict=True)],
            axis=0,
        )
        return {str(index): curves[:, index] for index in range(GRID.size)}

    drawn = resample(estimate, people, _SAMPLES, 0)
    mean = np.array([drawn.estimate[str(index)] for index in range(GRID.size)])
    samples = np.stack([drawn.replicates[str(index)] for index in range(GRID.size)])
    tail = (1 - level) / 2
    # A sample without one of the groups has no curve.
    low, high = np.nanquantile(samples, [tail, 1 - tail], axis=1)
    return Band(mean, low, high)


def roc_curves(given: Predictions, weights: Numbers) -> NDArray[np.float64]:
    """Return the true positive rate at each false positive rate of `GRID`.

    Parameters
    ----------
    given
        Probabilities and labels of N scans.
    weights
        (B, N), not negative.

    Returns
    -------
    numpy.ndarray
        (B, 51); NaN where a group has no weight.
    """
    order = np.argsort(-given.values, kind="stable")
    scores, positive = given.values[order], given.labels[order] > 0.5
    # Equal scores are called together: a curve has a point after each of them.
    last = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)
    found = np.full((len(weights), GRID.size), np.nan)
    for row, one in enumerate(weights[:, order]):
        hits = np.cumsum(one * positive)[last]
        alarms = np.cumsum(one * ~positive)[last]
        if hits[-1] and alarms[-1]:
            rates = np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1])
            found[row] = np.interp(GRID, *rates)
    return found


def calibration(
    seeds: Sequence[Predictions], bins: int = 10
) -> list[tuple[float, float, int]]:
    """Return mean probability, share of positives and scans of each bin with scans."""
    values = np.concatenate([one.values for one in seeds])
    labels = np.concatenate([one.labels for one in seeds])
    place = np.minimum((values * bins).astype(int), bins - 1)
    return [
        (float(values[here].mean()), float(labels[here].mean()), int(here.sum()))
        for number in range(bins)
        if (here := place == number).any()
    ]
