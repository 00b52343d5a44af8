"""How good predictions are, in the numbers of the field."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from napari_neuropretrain.evaluation.weighted import (
    Estimates,
    binary_estimates,
    regression_estimates,
)


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the area under the ROC curve; ties count half.

    Parameters
    ----------
    scores
        (N,), higher for the positive group.
    labels
        (N,) of 0 and 1.

    Returns
    -------
    float
        NaN where only one group is there.

    Examples
    --------
    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    score, positive = _pair(scores, labels)
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    # Mann-Whitney: the share of pairs in which the positive one scores higher.
    rank_sum = float(rankdata(score)[positive].sum())
    return (rank_sum - ones * (ones + 1) / 2) / (ones * zeros)


def youden_threshold(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the threshold with the highest sensitivity + specificity - 1.

    Youden (1950), "Index for rating diagnostic tests". Fit it on validation
    scores only. Thresholds lie half-way between neighbouring scores, which carries
    over to new people better than a threshold on a score; of equally good ones the
    nearest to 0.5 is taken.

    Examples
    --------
    >>> youden_threshold([0.1, 0.2, 0.6, 0.9], [0, 0, 1, 1])
    0.4
    """
    score, positive = _pair(scores, labels)
    levels = np.unique(score)
    cuts = (levels[:-1] + levels[1:]) / 2
    if not cuts.size or positive.all() or not positive.any():
        return 0.5
    called = score[None, :] >= cuts[:, None]  # (cuts, N)
    sensitivity = called[:, positive].mean(axis=1)
    specificity = (~called[:, ~positive]).mean(axis=1)
    index = sensitivity + specificity
    best = cuts[index >= index.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - 0.5))])


def binary_metrics(
    probabilities: ArrayLike,
    labels: ArrayLike,
    threshold: float = 0.5,
    bins: int = 10,
) -> dict[str, Any]:
    """Judge probabilities (N,) of the positive group against labels (N,).

    Whoever has a probability of at least `threshold` is called positive. What is
    not defined, as a share of an empty group, is None.

    Examples
    --------
    >>> judged = binary_metrics([0.9, 0.4, 0.2, 0.6], [1, 1, 0, 0])
    >>> judged["sensitivity"], judged["specificity"], judged["roc_auc"]
    (0.5, 0.5, 0.75)
    """
    score, positive = _pair(probabilities, labels)
    ones = np.ones((1, score.size))
    found = binary_estimates(score, positive, threshold, ones, bins)
    counts = {"n": int(score.size), "n_positive": int(positive.sum())}
    return counts | {"threshold": float(threshold)} | _plain(found)


def regression_metrics(predictions: ArrayLike, labels: ArrayLike) -> dict[str, Any]:
    """Judge predicted values (N,) against labels (N,), in the label's unit.

    What is not defined, as the correlation with one value, is None.

    Examples
    --------
    >>> regression_metrics([61.0, 68.0, 83.0], [60.0, 70.0, 80.0])["mae"]
    2.0
    """
    given, label = (np.asarray(array, dtype=float) for array in (predictions, labels))
    found = regression_estimates(given, label, np.ones((1, label.size)))
    return {"n": int(label.size)} | _plain(found)


def _plain(estimates: Estimates) -> dict[str, float | None]:
    values = {name: float(value[0]) for name, value in estimates.items()}
    return {name: value if isfinite(value) else None for name, value in values.items()}


def _pair(
    scores: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.asarray(scores, dtype=float), np.asarray(labels, dtype=float) > 0.5
