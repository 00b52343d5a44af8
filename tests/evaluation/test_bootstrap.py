"""Intervals against scipy, against theory, and their speed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from napari_neuropretrain.evaluation.bootstrap import (
    bca_interval,
    resample,
    two_sided_p,
)
from napari_neuropretrain.evaluation.weighted import (
    Estimates,
    Numbers,
    binary_estimates,
)


def mean_of(values: Numbers):  # type: ignore[no-untyped-def]
    def estimate(weights: Numbers) -> Estimates:
        return {"mean": weights @ values / weights.sum(axis=1)}

    return estimate


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(1, 40)  # skewed
    found = resample(mean_of(values), np.arange(40), 20_000, seed=1)
    expected = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert found.estimate["mean"] == pytest.approx(values.mean())
    assert found.replicates["mean"].shape == (20_000,)
    assert found.interval("mean") == pytest.approx(tuple(expected), abs=0.025)
    percentile = np.quantile(found.replicates["mean"], 0.975)
    assert found.interval("mean")[1] > percentile + 0.03  # type: ignore[index]


def test_the_jackknife_leaves_out_one_participant_at_a_time() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0])
    found = resample(mean_of(values), ["a", "b", "b", "c"], 10, seed=0)
    assert found.participants == 3
    expected = [14 / 3, 9 / 2, 7 / 3]
    assert found.left_out["mean"] == pytest.approx(expected)


def test_scans_of_one_participant_are_drawn_together() -> None:
    """Ten scans of each of 20 people tell no more than one scan of each."""
    values = np.random.default_rng(3).normal(0, 1, 20)
    once = resample(mean_of(values), np.arange(20), 4000, seed=0)
    often = resample(
        mean_of(np.repeat(values, 10)), np.repeat(np.arange(20), 10), 4000, seed=0
    )
    assert often.interval("mean") == pytest.approx(once.interval("mean"))
    assert often.replicates["mean"].std() == pytest.approx(
        values.std() / np.sqrt(20), rel=0.05
    )


def test_an_interval_of_nothing_is_none() -> None:
    same, some = np.full(100, 1.0), np.array([1.0, 0.9] * 50)
    assert bca_interval(1.0, same, np.ones(9)) is None
    assert bca_interval(float("nan"), some, np.ones(9)) is None
    some[:20] = np.nan
    assert bca_interval(0.95, some, np.ones(9)) is None


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(1, 30)
        found = resample(mean_of(values), np.arange(30), 400, seed)
        low, high = found.interval("mean") or (0, 0)
        hits += low <= 1 <= high
    assert 0.88 <= hits / 200 <= 0.98


def test_p_is_twice_the_smaller_share() -> None:
    assert two_sided_p(np.linspace(-1, 3, 399)) == pytest.approx(0.5, abs=0.01)
    assert two_sided_p(np.ones(999)) == pytest.approx(0.002)
    assert two_sided_p(np.zeros(99)) == 1.0


def test_two_thousand_samples_of_a_thousand_people_take_a_moment() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 1000)
    scores = 1 / (1 + np.exp(-random.normal(labels, 1)))
    started = time.process_time()
    found = resample(
        lambda weights: binary_estimates(scores, labels, 0.5, weights),
        np.arange(1000),
        2000,
        seed=0,
    )
    assert time.process_time() - started < 5  # of all metrics; much less when idle
    low, high = found.interval("roc_auc") or (0, 0)
    assert low < found.estimate["roc_auc"] < high
    assert 0.04 < high - low < 0.08
