"""Ridge and logistic regression: what a network must beat to be worth its cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold

from napari_neuropretrain.evaluation.predictions import Kind

_FOLDS = 5
_MOST_COMPONENTS = 1000
_PENALTIES = np.logspace(-5, 3, 17)


def predict_linearly(
    features: ArrayLike,
    labels: ArrayLike,
    participants: ArrayLike,
    train: ArrayLike,
    kind: Kind,
) -> NDArray[np.float64]:
    """Fit a penalised linear model to the training scans, and predict all.

    Features are standardised by the training scans, those of small deviation by the
    median one. The penalty is chosen among 17
    by five folds of the training participants: by absolute error, or by log loss.

    Parameters
    ----------
    features
        (N, F), any number of them.
    labels
        (N,); 1 and 0 for groups.
    participants
        (N,) who each scan is of.
    train
        (N,), true for the scans to learn from.
    kind
        Ridge regression for numbers, logistic regression for groups.

    Returns
    -------
    numpy.ndarray
        (N,) values, or probabilities of the positive group.
    """
    chosen, label = np.asarray(train, bool), np.asarray(labels, float)
    scores = _components(np.asarray(features, np.float32), chosen)
    who = np.unique(np.asarray(participants)[chosen], return_inverse=True)[1]
    search = _search(kind, label[chosen], who)
    search.fit(scores[chosen], label[chosen], groups=who)
    if kind == "binary":
        return np.asarray(search.predict_proba(scores)[:, 1], float)
    return np.asarray(search.predict(scores), float)


def _components(
    features: NDArray[np.float32], train: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Rotate features into the space of the training scans; nothing is lost there.

    A penalty on the squared weights does not depend on the rotation, so that the
    models are those of all features: Hastie and Tibshirani (2004), "Efficient quadratic
    regularization for expression arrays".
    """
    mean, sd = features[train].mean(axis=0), features[train].std(axis=0)
    varied = sd > 1e-6 * max(float(sd.max(initial=0)), 1e-12)
    # Cells that hardly vary, as those outside the brain, are not blown up.
    least = np.median(sd[varied]) if varied.any() else 1.0
    scaled = (features[:, varied] - mean[varied]) / np.maximum(sd[varied], least)
    scaled /= np.sqrt(max(1, int(varied.sum())))
    inner = (scaled @ scaled[train].T).astype(float)  # (N, n)
    values, vectors = np.linalg.eigh(inner[train])
    order = np.argsort(values)[::-1][:_MOST_COMPONENTS]
    kept = order[values[order] > 1e-9 * values.max()]
    found: NDArray[np.float64] = inner @ vectors[:, kept] / np.sqrt(values[kept])
    return found


def _search(kind: Kind, label: NDArray[np.float64], who: NDArray[np.int64]) -> Any:
    people = len(np.unique(who))
    if kind == "binary":
        smallest = min(len(np.unique(who[label == one])) for one in (0, 1))
        folds = StratifiedGroupKFold(max(2, min(_FOLDS, smallest)))
        model: Any = LogisticRegression(max_iter=10_000, tol=1e-6)
        grid = {"C": 1 / _PENALTIES}
        return GridSearchCV(model, grid, scoring="neg_log_loss", cv=folds)
    folds = GroupKFold(min(_FOLDS, people))
    grid = {"alpha": _PENALTIES}
    return GridSearchCV(Ridge(), grid, scoring="neg_mean_absolute_error", cv=folds)
