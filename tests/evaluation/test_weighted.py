"""Metrics under weights, against scikit-learn with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from napari_neuropretrain.evaluation.weighted import (
    BINARY,
    REGRESSION,
    binary_estimates,
    regression_estimates,
)


def sample(seed: int, count: int = 80) -> tuple[NDArray[np.float64], ...]:
    """Labels, scores with ties, and three weightings: ones, counts and numbers."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count).astype(float)
    logits = np.round(random.normal(1.5 * labels - 1, 1), 1)
    weights = np.stack(
        [np.ones(count), random.integers(0, 4, count), random.random(count)]
    )
    return labels, 1 / (1 + np.exp(-logits)), weights.astype(float)


def calibration_error(
    scores: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    bins: int,
) -> float:
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = (scores >= low) & ((scores < high) | (number == bins - 1))
        if weights[inside].sum():
            accuracy = np.average(labels[inside], weights=weights[inside])
            confidence = np.average(scores[inside], weights=weights[inside])
            total += weights[inside].sum() * abs(accuracy - confidence)
    return total / float(weights.sum())


@pytest.mark.parametrize("seed", range(4))
def test_binary_metrics_agree_with_scikit_learn(seed: int) -> None:
    labels, scores, weights = sample(seed)
    threshold = 0.4
    found = binary_estimates(scores, labels, threshold, weights, bins=10)
    assert set(found) == set(BINARY)
    called = (scores >= threshold).astype(float)
    for row, weight in enumerate(weights):
        given = {"sample_weight": weight}
        recall = {"roc_auc": sk.roc_auc_score(labels, scores, **given)}
        expected = recall | {
            "average_precision": sk.average_precision_score(labels, scores, **given),
            "accuracy": sk.accuracy_score(labels, called, **given),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, called, **given),
            "sensitivity": sk.recall_score(labels, called, **given),
            "specificity": sk.recall_score(labels, called, pos_label=0, **given),
            "ppv": sk.precision_score(labels, called, **given),
            "npv": sk.precision_score(labels, called, pos_label=0, **given),
            "f1": sk.f1_score(labels, called, **given),
            "brier": sk.brier_score_loss(labels, scores, **given),
            "calibration_error": calibration_error(scores, labels, weight, 10),
        }
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("seed", range(4))
def test_regression_metrics_agree_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.uniform(20, 90, 70)
    given = 30 + 0.4 * labels + random.normal(0, 6, 70)
    weights = np.stack([np.ones(70), random.integers(0, 4, 70), random.random(70)])
    found = regression_estimates(given, labels, weights)
    assert set(found) == set(REGRESSION)
    for row, weight in enumerate(weights):
        slope, _ = np.polyfit(labels, given - labels, 1, w=np.sqrt(weight))
        covariance = np.cov(given, labels, aweights=weight)
        expected = {
            "mae": sk.mean_absolute_error(labels, given, sample_weight=weight),
            "rmse": sk.root_mean_squared_error(labels, given, sample_weight=weight),
            "r2": sk.r2_score(labels, given, sample_weight=weight),
            "r": covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]),
            "bias": np.average(given - labels, weights=weight),
            "bias_slope": slope,
        }
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, abs=1e-10), name


def test_what_is_not_defined_is_not_a_number() -> None:
    found = binary_estimates([0.2, 0.9], [1, 1], 0.95, np.ones((1, 2)))
    assert np.isnan(found["roc_auc"][0])
    assert np.isnan(found["specificity"][0])
    assert np.isnan(found["ppv"][0])
    assert found["sensitivity"][0] == 0
    constant = regression_estimates([50.0, 50.0], [40.0, 70.0], np.ones((1, 2)))
    assert np.isnan(constant["r"][0])
    assert constant["bias_slope"][0] == -1  # everyone gets the mean
    alone = regression_estimates([50.0], [40.0], np.ones((1, 1)))
    assert np.isnan(alone["r2"][0])
    assert alone["mae"][0] == 10
