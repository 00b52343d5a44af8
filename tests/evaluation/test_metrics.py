"""Metrics against scikit-learn and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from napari_neuropretrain.evaluation.metrics import (
    binary_metrics,
    regression_metrics,
    roc_auc,
    youden_threshold,
)


@pytest.mark.parametrize("seed", range(5))
def test_auc_and_youden_agree_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 60)
    # Rounded, so that there are ties.
    scores = np.round(random.normal(labels * 0.7, 1), 1)
    expected = sklearn_metrics.roc_auc_score(labels, scores)
    assert roc_auc(scores, labels) == pytest.approx(expected, abs=1e-12)
    false, true, _ = sklearn_metrics.roc_curve(labels, scores)
    judged = binary_metrics(scores, labels, youden_threshold(scores, labels))
    index = judged["sensitivity"] + judged["specificity"] - 1
    assert index == pytest.approx((true - false).max(), abs=1e-12)
    called = scores >= judged["threshold"]
    balanced = sklearn_metrics.balanced_accuracy_score(labels, called)
    assert judged["balanced_accuracy"] == pytest.approx(balanced)
    assert judged["accuracy"] == sklearn_metrics.accuracy_score(labels, called)


def test_the_threshold_lies_between_the_groups() -> None:
    assert youden_threshold([0.1, 0.3, 0.9], [0, 0, 1]) == pytest.approx(0.6)


def test_nothing_to_separate_gives_one_half() -> None:
    assert youden_threshold([0.2, 0.2], [0, 1]) == 0.5
    assert youden_threshold([0.1, 0.9], [1, 1]) == 0.5


def test_one_group_has_no_auc() -> None:
    judged = binary_metrics([0.9, 0.1], [1, 1])
    assert judged["roc_auc"] is None
    assert judged["specificity"] is None
    assert judged["sensitivity"] == 0.5
    assert np.isnan(roc_auc([0.9, 0.1], [1, 1]))


def test_binary_metrics_by_hand() -> None:
    judged = binary_metrics([0.9, 0.8, 0.3, 0.6, 0.2], [1, 1, 1, 0, 0], 0.5)
    assert judged["sensitivity"] == pytest.approx(2 / 3)
    assert judged["specificity"] == 0.5
    assert judged["accuracy"] == pytest.approx(3 / 5)
    assert judged["balanced_accuracy"] == pytest.approx(7 / 12)
    assert judged["roc_auc"] == pytest.approx(5 / 6)


def test_regression_metrics_by_hand() -> None:
    judged = regression_metrics([1.0, 2.0, 6.0], [2.0, 2.0, 4.0])
    assert judged["mae"] == 1.0
    assert judged["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert judged["bias"] == pytest.approx(1 / 3)
    expected = np.corrcoef([1, 2, 6], [2, 2, 4])[0, 1]
    assert judged["r"] == pytest.approx(expected)
    assert regression_metrics([5.0, 5.0], [4.0, 6.0])["r"] is None
