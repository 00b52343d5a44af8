"""Means, spreads and transfers against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.summary import find_transfers, summarise
from napari_neuropretrain.evaluation.assessment import Certainty
from napari_neuropretrain.evaluation.curves import GRID, calibration, roc_band
from napari_neuropretrain.evaluation.predictions import Predictions

SCRATCH = Setting("age", "tiny", "scratch", "full", 1.0)
STARTED = replace(SCRATCH, initialisation="pretrained")
CERTAINTY = Certainty(400, 0)


def ages(errors: list[float] | np.ndarray) -> Predictions:
    """Return predictions of that error, for people of 50, 51, and so on."""
    count = len(errors)
    names = np.array([f"sub-{number:03d}" for number in range(count)])
    labels = 50.0 + np.arange(count)
    return Predictions("m", "home", "regression", names, names, labels, labels + errors)


def groups(seed: int, effect: float) -> Predictions:
    random = np.random.default_rng(seed)
    labels = np.arange(60) % 2.0
    values = 1 / (1 + np.exp(-(effect * (labels - 0.5) + random.normal(size=60))))
    names = np.array([f"sub-{number:03d}" for number in range(60)])
    return Predictions("m", "home", "binary", names, names, labels, values)


def test_mean_and_spread_are_over_seeds() -> None:
    seeds = {SCRATCH: {"home": {0: ages([1.0, -2.0, 3.0]), 5: ages([2.0, 2.0, -5.0])}}}
    found = summarise(seeds, CERTAINTY)[SCRATCH, "home"]["mae"]
    assert found.values == (2.0, 3.0)
    assert found.mean == 2.5
    assert found.sd == pytest.approx(np.sqrt(0.5))
    assert found.participants == 3
    one = summarise({SCRATCH: {"home": {0: ages([1.0, -2.0])}}}, CERTAINTY)
    assert np.isnan(one[SCRATCH, "home"]["mae"].sd)


def test_the_interval_draws_people_and_not_scans() -> None:
    random = np.random.default_rng(1)
    errors = random.normal(0, 4, 80)
    # Two seeds that err alike say no more than one.
    twice = {SCRATCH: {"home": {0: ages(errors), 1: ages(errors)}}}
    once = {SCRATCH: {"home": {0: ages(errors)}}}
    both = summarise(twice, CERTAINTY)[SCRATCH, "home"]["mae"]
    single = summarise(once, CERTAINTY)[SCRATCH, "home"]["mae"]
    assert both.interval == pytest.approx(single.interval)
    low, high = both.interval or (0, 0)
    half = 1.96 * np.abs(errors).std(ddof=1) / np.sqrt(80)
    assert high - low == pytest.approx(2 * half, rel=0.2)


def test_areas_are_those_of_scikit_learn() -> None:
    one, other = groups(0, 1.5), groups(1, 1.5)
    found = summarise({SCRATCH: {"home": {0: one, 1: other}}}, CERTAINTY)
    areas = [roc_auc_score(each.labels, each.values) for each in (one, other)]
    summary = found[SCRATCH, "home"]["roc_auc"]
    assert summary.values == pytest.approx(areas)
    assert summary.mean == pytest.approx(np.mean(areas))
    assert summary.sd == pytest.approx(np.std(areas, ddof=1))


def test_negative_transfer_is_flagged() -> None:
    random = np.random.default_rng(2)
    plain = np.abs(random.normal(0, 3, (2, 60)))
    worse = plain + 1 + 0.1 * random.random((2, 60))
    unsure = plain + random.normal(0.05, 1, (2, 60))

    def transfer_to(errors: np.ndarray):
        seeds = {
            SCRATCH: {"home": {0: ages(plain[0]), 1: ages(plain[1])}},
            STARTED: {"home": {0: ages(errors[0]), 1: ages(errors[1])}},
        }
        (found,) = find_transfers(seeds, CERTAINTY)
        return found

    hurt = transfer_to(worse)
    assert hurt.difference == pytest.approx((worse - plain).mean())
    assert (hurt.negative, hurt.verdict, hurt.seeds) == (True, "hurt", 2)
    assert hurt.interval is not None
    # The errors of people vary by 3 years, but the pairs only by 0.1.
    assert 1.0 < hurt.interval[0] < hurt.interval[1] < 1.1
    helped = transfer_to(plain * 0.5)
    assert (helped.negative, helped.verdict) == (False, "helped")
    assert helped.gain == pytest.approx(plain.mean() / 2)
    assert transfer_to(unsure).verdict == "no difference shown"


def test_seeds_are_paired_by_number() -> None:
    random = np.random.default_rng(3)
    errors = {seed: np.abs(random.normal(0, 3, 40)) for seed in (0, 1, 2)}
    seeds = {
        SCRATCH: {"home": {0: ages(errors[0]), 2: ages(errors[2])}},
        STARTED: {"home": {1: ages(errors[1]), 2: ages(errors[2] + 1)}},
    }
    (found,) = find_transfers(seeds, CERTAINTY)
    assert found.seeds == 1
    assert found.difference == pytest.approx(1.0)
    alone = {SCRATCH: {"home": {0: ages(errors[0])}}}
    apart = alone | {STARTED: {"home": {1: ages(errors[1])}}}
    assert find_transfers(apart, CERTAINTY) == ()


def test_curves_go_through_those_of_scikit_learn() -> None:
    one = groups(0, 2.0)
    band = roc_band([one])
    alarms, hits, _ = roc_curve(one.labels, one.values, drop_intermediate=False)
    expected = np.interp(GRID, alarms, hits)
    assert band.mean == pytest.approx(expected)
    assert (band.low <= band.mean + 1e-9).all()
    assert (band.high >= band.mean - 1e-9).all()
    # Equal scores are called together: chance is the diagonal.
    flat = replace(one, values=np.full(60, 0.3))
    assert roc_band([flat]).mean == pytest.approx(GRID)
    assert calibration([flat]) == [(pytest.approx(0.3), 0.5, 60)]
