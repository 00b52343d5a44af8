"""Everything that is said of one model on one cohort, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_neuropretrain.evaluation.bootstrap import (
    Estimator,
    Interval,
    Resampled,
    resample,
)
from napari_neuropretrain.evaluation.delong import delong_covariance, delong_interval
from napari_neuropretrain.evaluation.permutation import area_p, error_p
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.evaluation.weighted import (
    Estimates,
    Numbers,
    binary_estimates,
    regression_estimates,
)

PRIMARY = {"binary": "roc_auc", "regression": "mae"}
"""The metric that models are compared by."""


@dataclass(frozen=True)
class Certainty:
    """How intervals and tests are made.

    Parameters
    ----------
    bootstraps, permutations
        Samples; 0 for none.
    level
        Share of intervals that hold the true value.
    bins
        Of the calibration error.
    seed
        Of the samples.
    """

    bootstraps: int = 2000
    permutations: int = 2000
    level: float = 0.95
    bins: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Assessment:
    """Metrics of one model on one cohort.

    Parameters
    ----------
    n, n_participants
        Scans, and people they are of.
    values
        Metric by name; None where it is not defined.
    intervals
        BCa bootstrap intervals over participants; None where there is none.
    delong
        DeLong interval of the area under the curve.
    p_chance
        Permutation test of the primary metric; None where it was not done.
    """

    n: int
    n_participants: int
    values: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None] = field(default_factory=dict)
    delong: Interval | None = None
    p_chance: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what goes into ``metrics.json`` and into a model card."""
        return {
            "n": self.n,
            "n_participants": self.n_participants,
            **self.values,
            "intervals": {
                name: None if pair is None else [round(bound, 6) for bound in pair]
                for name, pair in self.intervals.items()
            },
            **({} if self.delong is None else {"roc_auc_delong": list(self.delong)}),
            **({} if self.p_chance is None else {"p_chance": self.p_chance}),
        }


def assess(given: Predictions, certainty: Certainty) -> Assessment:
    """Judge predictions, with intervals and a test against chance."""
    found = resample_metrics(given, certainty)
    values = {
        name: value if math.isfinite(value) else None
        for name, value in found.estimate.items()
    }
    counts: dict[str, float | None] = {}
    if given.kind == "binary":
        counts["n_positive"] = int(given.labels.sum())
        counts["threshold"] = given.threshold
    intervals = {}
    if certainty.bootstraps:
        intervals = {name: found.interval(name, certainty.level) for name in values}
    return Assessment(
        given.labels.size,
        found.participants,
        counts | values,
        intervals,
        _delong(given, certainty),
        chance_p(given, certainty),
    )


def resample_metrics(given: Predictions, certainty: Certainty) -> Resampled:
    """Bootstrap every metric; same scans and seed, same samples."""
    return resample(
        estimator_of(given, certainty.bins),
        given.participants,
        certainty.bootstraps,
        certainty.seed,
    )


def estimator_of(given: Predictions, bins: int = 10) -> Estimator:
    """Return the metrics of these predictions as a function of weights."""
    if given.kind == "binary":
        return lambda weights: binary_estimates(
            given.values, given.labels, given.threshold, weights, bins
        )

    def estimate(weights: Numbers) -> Estimates:
        found = regression_estimates(given.values, given.labels, weights)
        if given.bias is not None:
            corrected = given.bias.correct(given.values, given.labels)
            after = regression_estimates(corrected, given.labels, weights)
            for name in ("mae", "bias", "bias_slope"):
                found[f"{name}_corrected"] = after[name]
        return found

    return estimate


def chance_p(given: Predictions, certainty: Certainty) -> float | None:
    """Return the p of the primary metric under shuffled labels, or None."""
    if not certainty.permutations or given.labels.size < 2:
        return None
    test = area_p if given.kind == "binary" else error_p
    p = test(
        given.values,
        given.labels,
        given.participants,
        certainty.permutations,
        certainty.seed,
    )
    return p if math.isfinite(p) else None


def _delong(given: Predictions, certainty: Certainty) -> Interval | None:
    if given.kind != "binary":
        return None
    areas, covariance = delong_covariance(
        given.values, given.labels, given.participants
    )
    variance = float(np.nan_to_num(covariance[0, 0]))
    return delong_interval(float(areas[0]), variance, certainty.level)
