"""Probes: how much simple models can read from the features of a backbone.

A probe never changes the backbone. Ridge regression on standardised features, its
strength chosen by leave-one-out on the training volumes (Golub et al. 1979); or the
mean of the nearest neighbours by cosine similarity (Wu et al. 2018).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from napari_neuropretrain.evaluation.metrics import regression_metrics, roc_auc

ProbeKind: TypeAlias = Literal["linear", "knn"]
NEIGHBOURS = 10
_STRENGTHS = np.logspace(-2, 6, 17)


def probe_features(
    kind: ProbeKind,
    train: tuple[ArrayLike, ArrayLike],
    test: tuple[ArrayLike, ArrayLike],
    classes: int = 0,
) -> dict[str, float]:
    """Fit a probe on some volumes and judge it on others.

    Parameters
    ----------
    kind
        ``linear`` or ``knn``.
    train, test
        Features (N, C) and labels (N,); volumes whose label is not a number are
        left out.
    classes
        0 for numbers; else labels are class numbers, from 0 on.

    Returns
    -------
    dict
        ``mae`` in the unit of the label and ``r`` for numbers, ``auc`` for two
        classes, ``accuracy`` for more. Empty where too few volumes have a label.

    Examples
    --------
    >>> ages = np.linspace(40, 80, 40)
    >>> people = (ages[:, None], ages)
    >>> round(probe_features("linear", people, people)["mae"], 1)
    0.0
    """
    (seen, known), (unseen, truth) = _labelled(*train), _labelled(*test)
    if len(known) < 4 or len(truth) < 2 or np.ptp(known) == 0:
        return {}
    if not classes:
        judged = regression_metrics(_fit(kind, seen, known).predict(unseen), truth)
        kept = {name: judged[name] for name in ("mae", "r")}
        return {name: float(one) for name, one in kept.items() if one is not None}
    groups = np.arange(classes)
    scores = _fit(kind, seen, (known[:, None] == groups).astype(float)).predict(unseen)
    if classes > 2:
        return {"accuracy": float((scores.argmax(1) == truth).mean())}
    auc = roc_auc(scores[:, 1], truth)
    return {} if np.isnan(auc) else {"auc": auc}


def _fit(kind: ProbeKind, features: NDArray[Any], targets: NDArray[Any]) -> Pipeline:
    """Fit on features (N, C) and targets (N,) or (N, classes)."""
    if kind == "linear":
        steps = (StandardScaler(), RidgeCV(_STRENGTHS))
    else:
        # On vectors of length 1 the nearest are those with the highest cosine.
        near = KNeighborsRegressor(min(NEIGHBOURS, len(features)))
        steps = (Normalizer(), near)
    return make_pipeline(*steps).fit(features, targets)


def _labelled(
    features: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return features and labels of the volumes that have a label."""
    given, label = np.asarray(features, float), np.asarray(labels, float)
    known = np.isfinite(label)
    return given[known], label[known]
