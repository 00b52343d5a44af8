"""Tests against chance: exact small cases, and p under the null hypothesis."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from napari_neuropretrain.evaluation.metrics import roc_auc
from napari_neuropretrain.evaluation.permutation import area_p, error_p


def test_p_is_the_share_of_all_orders() -> None:
    scores, labels = np.array([1.0, 4, 2, 5, 3, 6]), [0, 0, 1, 0, 1, 1]
    given = roc_auc(scores, labels)
    exact = np.mean([roc_auc(scores, one) >= given for one in permutations(labels)])
    found = area_p(scores, labels, np.arange(6), 20_000, seed=0)
    assert found == pytest.approx(exact, abs=0.01)
    truth, guess = np.array([20.0, 30, 50, 70, 80]), np.array([30.0, 25, 60, 50, 85])
    error = np.abs(guess - truth).mean()
    exact = np.mean(
        [np.abs(guess - one).mean() <= error for one in permutations(truth)]
    )
    found = error_p(guess, truth, np.arange(5), 20_000, seed=0)
    assert found == pytest.approx(exact, abs=0.01)


def test_p_of_chance_is_even_and_p_of_a_good_model_small() -> None:
    p = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 2, 30)
        p.append(area_p(random.random(30), labels, np.arange(30), 99, seed))
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert area_p(labels + random.random(30), labels, np.arange(30), 999, 0) == 0.001


def test_copies_of_a_scan_are_no_evidence() -> None:
    """Ten scans each of four people: two against two is one of six orders."""
    labels = np.repeat([0, 0, 1, 1], 10)
    scores = labels + np.random.default_rng(0).random(40)
    alone = area_p(scores, labels, np.arange(40), 2000, seed=0)
    assert alone < 0.001
    together = area_p(scores, labels, np.repeat(np.arange(4), 10), 2000, seed=0)
    assert together == pytest.approx(1 / 6, abs=0.03)
    ages = np.repeat([20.0, 80.0, 40.0], 10)
    p = error_p(ages + 1, ages, np.repeat(np.arange(3), 10), 2000, seed=0)
    assert p == pytest.approx(1 / 6, abs=0.03)


def test_one_group_has_no_p() -> None:
    assert np.isnan(area_p([0.1, 0.2], [1, 1], [0, 1], 9, seed=0))
