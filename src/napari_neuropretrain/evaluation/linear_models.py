"""Ridge and logistic regression: what a network must beat to be worth its cost."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold

from napari_neuropretrain.config.base import write_bytes
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.evaluation.predictions import Kind

_FOLDS = 5
_MOST_COMPONENTS = 1000
_PENALTIES = np.logspace(-5, 3, 17)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A fitted model: features less their mean, times weights, plus an intercept.

    Parameters
    ----------
    mean, weights
        (F,) float32.
    intercept
        In the unit of the label, or of the logit.
    kind
        Whether the sum is a value, or the logit of a probability.
    regions
        Names of the last features, where they are volumes of regions; those before
        them are cells.
    """

    mean: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercept: float
    kind: Kind
    regions: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """How many features are cells of the volume."""
        return len(self.weights) - len(self.regions)

    def predict(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return values, or probabilities of the positive group, of (N, F)."""
        given = np.asarray(features, np.float32)
        found = ((given - self.mean) @ self.weights).astype(float) + self.intercept
        return np.asarray(expit(found) if self.kind == "binary" else found)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file, whole or not at all."""
        stream = io.BytesIO()
        np.savez(
            stream,
            mean=self.mean,
            weights=self.weights,
            intercept=self.intercept,
            kind=self.kind,
            regions=np.array(self.regions, dtype=np.str_),
        )
        write_bytes(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> LinearModel:
        """Read what `save` wrote; nothing in it is executed.

        Raises
        ------
        CheckpointError
            If the file is missing or is none of these.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                kind: Kind = (
                    "binary" if str(found["kind"]) == "binary" else "regression"
                )
                intercept = float(found["intercept"])
                regions = tuple(found["regions"].tolist()) if "regions" in found else ()
                return cls(found["mean"], found["weights"], intercept, kind, regions)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"Cannot read the linear model '{path}': {error}"
            ) from None


def fit_linearly(
    features: ArrayLike,
    labels: ArrayLike,
    participants: ArrayLike,
    kind: Kind,
    regions: Sequence[str] = (),
) -> LinearModel:
    """Fit a penalised linear model.

    Features are standardised, those of small deviation by the median one. Cells and
    regions count alike as wholes, however many there are of each. The penalty is
    chosen among 17 by five folds of the participants: by absolute error, or by log
    loss.

    Parameters
    ----------
    features
        (N, F) of the training scans, any number of them.
    labels
        (N,); 1 and 0 for groups.
    participants
        (N,) who each scan is of.
    kind
        Ridge regression for numbers, logistic regression for groups.
    regions
        Names of the last features, where they are volumes of regions.
    """
    given, label = np.asarray(features, np.float32), np.asarray(labels, float)
    mean = given.mean(axis=0)
    start = given.shape[1] - len(regions)
    blocks = (given[:, :start], given[:, start:])
    scale = np.concatenate([_scale_of(block) for block in blocks])
    scaled = (given - mean) / scale
    scores, rotation = _components(scaled)
    who = np.unique(np.asarray(participants), return_inverse=True)[1].reshape(-1)
    search = _search(kind, label, who)
    search.fit(scores, label, groups=who)
    found = search.best_estimator_
    weights = (rotation @ np.ravel(found.coef_)) / scale
    intercept = float(np.ravel(found.intercept_)[0])
    found_weights = weights.astype(np.float32)
    return LinearModel(mean, found_weights, intercept, kind, tuple(regions))


def _scale_of(block: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Return what features (N, F) of one kind are divided by; their sum varies by 1."""
    sd = block.std(axis=0)
    varied = sd > 1e-6 * max(float(sd.max(initial=0)), 1e-12)
    # Cells that hardly vary, as those outside the brain, are not blown up.
    least = np.median(sd[varied]) if varied.any() else 1.0
    scale = np.where(varied, np.maximum(sd, least), np.inf)
    return np.asarray(scale * np.sqrt(max(1, int(varied.sum()))))


def _components(
    scaled: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotate (N, F) into the space of the scans; return (N, K) and the rotation (F, K).

    A penalty on the squared weights does not depend on a rotation, so that the models
    are those of all features: Hastie and Tibshirani (2004), "Efficient quadratic
    regularization for expression arrays".
    """
    values, vectors = np.linalg.eigh((scaled @ scaled.T).astype(float))
    order = np.argsort(values)[::-1][:_MOST_COMPONENTS]
    kept = order[values[order] > 1e-9 * values.max()]
    rotation = scaled.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    return scaled @ rotation, rotation


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
