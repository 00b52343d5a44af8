"""DeLong against a slow reference, the formula of a normal model, and clusters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from napari_neuropretrain.evaluation.delong import (
    delong_covariance,
    delong_interval,
    delong_test,
)


def sample(
    seed: int, count: int = 60, models: int = 3
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    shared = random.normal(labels, 1, count)
    scores = shared + random.normal(0, 0.7, (models, count))
    return np.round(scores, 1), labels  # rounded: ties


def slow_covariance(
    scores: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """DeLong et al. (1988), every pair of scans compared."""
    above, below = [], []
    for score in scores:
        ones, zeros = score[labels == 1], score[labels == 0]
        wins = (ones[:, None] > zeros) + 0.5 * (ones[:, None] == zeros)
        above.append(wins.mean(axis=1))
        below.append(wins.mean(axis=0))
    return np.cov(above) / len(above[0]) + np.cov(below) / len(below[0])


@pytest.mark.parametrize("seed", range(4))
def test_the_covariance_is_that_of_all_pairs(seed: int) -> None:
    scores, labels = sample(seed)
    areas, covariance = delong_covariance(scores, labels)
    expected = [roc_auc_score(labels, score) for score in scores]
    assert areas == pytest.approx(expected, abs=1e-12)
    assert covariance == pytest.approx(slow_covariance(scores, labels), abs=1e-14)
    found = delong_test(scores[0], scores[1], labels)
    slow = slow_covariance(scores, labels)
    variance = slow[0, 0] + slow[1, 1] - 2 * slow[0, 1]
    assert found.difference == pytest.approx(expected[0] - expected[1])
    assert found.z == pytest.approx(found.difference / np.sqrt(variance))


def test_the_variance_is_that_of_repeated_studies() -> None:
    """And so is the share of small p where two models are equally good."""
    areas, variances, p = [], [], []
    for seed in range(400):
        scores, labels = sample(seed, count=80, models=2)
        found, covariance = delong_covariance(scores, labels)
        areas.append(found[0])
        variances.append(covariance[0, 0])
        p.append(delong_test(scores[0], scores[1], labels).p)
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.15)
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09


def test_copies_of_a_scan_tell_nothing_new() -> None:
    scores, labels = sample(5)
    once = delong_covariance(scores, labels)
    four = np.repeat(np.arange(60), 4)
    often = delong_covariance(scores[:, four], labels[four], four)
    assert often[0] == pytest.approx(once[0])
    assert often[1] == pytest.approx(once[1])
    alone = delong_covariance(scores[:, four], labels[four])
    assert alone[1][0, 0] < 0.3 * once[1][0, 0]  # as if they were new people


def test_people_with_scans_of_both_groups() -> None:
    """Obuchowski (1997): the variance of areas over studies of paired scans."""
    areas, variances = [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        person = random.normal(0, 1, 60)  # the same in both scans
        scores = np.concatenate([person, person + 1]) + random.normal(0, 0.5, 120)
        labels, who = np.repeat([0, 1], 60), np.tile(np.arange(60), 2)
        found, covariance = delong_covariance(scores, labels, who)
        areas.append(found[0])
        variances.append(covariance[0, 0])
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.2)
    unpaired = delong_covariance(scores, labels)[1][0, 0]
    assert np.mean(variances) < 0.6 * unpaired


def test_the_same_scores_do_not_differ() -> None:
    scores, labels = sample(1)
    found = delong_test(scores[0], scores[0], labels)
    assert (found.difference, found.p) == (0, 1)


def test_a_perfect_or_a_lone_group_has_no_interval() -> None:
    areas, covariance = delong_covariance([1.0, 2, 3, 4], [0, 0, 1, 1])
    assert areas[0] == 1
    assert delong_interval(areas[0], covariance[0, 0]) is None
    areas, covariance = delong_covariance([1.0, 2, 3], [0, 0, 1])
    assert np.isnan(covariance).all()
    assert np.isnan(delong_covariance([1.0, 2], [1, 1])[0]).all()
