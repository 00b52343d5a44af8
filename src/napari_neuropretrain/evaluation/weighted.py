"""Every metric as a function of weights on the scans, for many weightings at once.

With weights of one these are the plain metrics; with the counts of a bootstrap they
are its replicates, and with one participant at zero those of the jackknife: estimate
and interval come from the same lines.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers: TypeAlias = NDArray[np.float64]
Estimates: TypeAlias = dict[str, Numbers]
"""Metric by name, one number (B,) for each weighting; NaN where it is not defined."""

BINARY = (
    "roc_auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "f1",
    "brier",
    "calibration_error",
)
REGRESSION = ("mae", "rmse", "r", "r2", "bias", "bias_slope")
LOWER_IS_BETTER = frozenset(
    {"brier", "calibration_error", "mae", "rmse", "mae_corrected"}
)


def binary_estimates(
    probabilities: ArrayLike,
    labels: ArrayLike,
    threshold: float,
    weights: ArrayLike,
    bins: int = 10,
) -> Estimates:
    """Judge probabilities of the positive group, under each weighting.

    Parameters
    ----------
    probabilities
        (N,), of the positive group.
    labels
        (N,) of 0 and 1.
    threshold
        Whoever has at least this probability is called positive.
    weights
        (B, N), not negative.
    bins
        Of equal width, for the calibration error.

    Returns
    -------
    dict
        The metrics of `BINARY`, each (B,).
    """
    score, label = np.asarray(probabilities, float), np.asarray(labels, float) > 0.5
    weight = np.atleast_2d(np.asarray(weights, float))
    positive, negative = _sorted_by_score(score, label, weight)
    found = {
        "roc_auc": _area(positive, negative),
        "average_precision": _average_precision(positive, negative),
    }
    found |= _shares(score >= threshold, label, weight)
    total = weight.sum(axis=1)
    found["brier"] = _divide(weight @ (score - label) ** 2, total)
    found["calibration_error"] = _calibration_error(score, label, weight, bins)
    return found


def _sorted_by_score(
    score: Numbers, label: NDArray[np.bool_], weight: Numbers
) -> tuple[Numbers, Numbers]:
    """Return the weight (B, levels) of both groups at each score, the lowest first."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    sorted_weight = weight[:, order]
    ones = sorted_weight * label[order]
    positive = np.add.reduceat(ones, starts, axis=1)
    negative = np.add.reduceat(sorted_weight - ones, starts, axis=1)
    return positive, negative


def _area(positive: Numbers, negative: Numbers) -> Numbers:
    """Mann-Whitney: the share of pairs in which the positive one scores higher."""
    below = np.cumsum(negative, axis=1) - negative / 2  # ties count half
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _divide((positive * below).sum(axis=1), pairs)


def _average_precision(positive: Numbers, negative: Numbers) -> Numbers:
    """Sum the precision at each score over the steps of the recall."""
    found = np.cumsum(positive[:, ::-1], axis=1)
    called = found + np.cumsum(negative[:, ::-1], axis=1)
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    return _divide((precision * positive[:, ::-1]).sum(axis=1), found[:, -1])


def _shares(
    called: NDArray[np.bool_], label: NDArray[np.bool_], weight: Numbers
) -> Estimates:
    cells = np.stack(
        [called & label, called & ~label, ~called & label, ~called & ~label], axis=1
    )
    true_positive, false_positive, false_negative, true_negative = (
        weight @ cells.astype(float)
    ).T
    sensitivity = _divide(true_positive, true_positive + false_negative)
    specificity = _divide(true_negative, true_negative + false_positive)
    right, wrong = true_positive + true_negative, false_positive + false_negative
    return {
        "accuracy": _divide(right, right + wrong),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": _divide(true_positive, true_positive + false_positive),
        "npv": _divide(true_negative, true_negative + false_negative),
        "f1": _divide(2 * true_positive, 2 * true_positive + wrong),
    }


def _calibration_error(
    score: Numbers, label: NDArray[np.bool_], weight: Numbers, bins: int
) -> Numbers:
    """Return the expected calibration error: Guo et al. (2017), equation 3."""
    number = np.clip((score * bins).astype(int), 0, bins - 1)
    in_bin = number[:, None] == np.arange(bins)  # (N, bins)
    gaps = weight @ (in_bin * (score - label)[:, None])
    return _divide(np.abs(gaps).sum(axis=1), weight.sum(axis=1))


def regression_estimates(
    predictions: ArrayLike, labels: ArrayLike, weights: ArrayLike
) -> Estimates:
    """Judge predicted values, under each weighting.

    Parameters
    ----------
    predictions, labels
        (N,), in the label's unit.
    weights
        (B, N), not negative.

    Returns
    -------
    dict
        The metrics of `REGRESSION`, each (B,). ``bias`` is the mean of prediction
        less label, and ``bias_slope`` by how much that grows with each unit of the
        label: below 0 where the old are taken for younger and the young for older.
    """
    given, label = np.asarray(predictions, float), np.asarray(labels, float)
    weight = np.atleast_2d(np.asarray(weights, float))
    total = weight.sum(axis=1)
    error = given - label

    def mean(values: Numbers) -> Numbers:
        return _divide(weight @ values, total)

    # About the plain means, where sums of squares lose no digits.
    x, y = label - label.mean(), given - given.mean()
    mean_x, mean_y = mean(x), mean(y)
    variance_x = np.maximum(mean(x**2) - mean_x**2, 0)
    variance_y = np.maximum(mean(y**2) - mean_y**2, 0)
    covariance = mean(x * y) - mean_x * mean_y
    tiny = 1e-12 * max(float((x**2).mean()), float((y**2).mean()), 1e-300)
    varied_x, varied = variance_x > tiny, (variance_x > tiny) & (variance_y > tiny)
    squared = mean(error**2)
    root = np.sqrt(variance_x * variance_y)
    return {
        "mae": mean(np.abs(error)),
        "rmse": np.sqrt(squared),
        "r": _where(varied, covariance, root),
        "r2": 1 - _where(varied_x, squared, variance_x),
        "bias": mean(error),
        "bias_slope": _where(varied_x, covariance, variance_x) - 1,
    }


def _divide(above: Numbers, below: Numbers) -> Numbers:
    return _where(below > 0, above, below)


def _where(defined: NDArray[np.bool_], above: Numbers, below: Numbers) -> Numbers:
    empty = np.full(above.shape, np.nan)
    result: Numbers = np.divide(above, below, out=empty, where=defined)
    return result
