"""Closed forms of what a model keeps of its cohort."""

from __future__ import annotations

import numpy as np
import pytest

from napari_neuropretrain.weights.reference import (
    PROFILE_SHARES,
    conformal_radius,
    intensity_profile,
    percentile_of,
    profile_distance,
    summarise_profiles,
    thin,
)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_intervals_cover_new_people_as_often_as_they_say(level: float) -> None:
    # The chance of coverage is exactly k / (n + 1) for k = ceil((n + 1) level),
    # whatever the distribution: here heavy-tailed errors.
    rng = np.random.default_rng(0)
    calibration, trials = 29, 20_000
    errors = np.abs(rng.standard_t(2, (trials, calibration + 1)))
    held = np.array([conformal_radius(tuple(row[:-1]), level) for row in errors])
    covered = float((errors[:, -1] <= held).mean())
    expected = np.ceil(round(30 * level, 9)) / 30
    assert covered == pytest.approx(expected, abs=4 * (0.25 / trials) ** 0.5)
    assert expected >= level


@pytest.mark.parametrize(
    ("count", "level", "rank"),
    [(9, 0.9, 9), (8, 0.9, None), (19, 0.95, 19), (18, 0.95, None), (99, 0.9, 90)],
)
def test_the_rank_of_the_error(count: int, level: float, rank: int | None) -> None:
    shuffled = np.random.default_rng(1).permutation(np.arange(1.0, count + 1))
    assert conformal_radius(tuple(shuffled), level) == rank


def test_percentiles_of_a_uniform_cohort() -> None:
    ordered = tuple(np.arange(100.0))
    assert percentile_of(24.5, ordered) == 25.0
    assert percentile_of(24.0, ordered) == 24.5  # half of its tie
    assert percentile_of(-1, ordered) == 0.0
    assert percentile_of(1000, ordered) == 100.0
    assert percentile_of(1.0, ()) is None


def test_a_long_list_keeps_its_ends_and_its_percentiles() -> None:
    values = np.random.default_rng(2).normal(0, 1, 20_000)
    kept = thin(values)
    assert len(kept) == 501
    assert kept[0] == pytest.approx(values.min(), rel=1e-4)
    assert kept[-1] == pytest.approx(values.max(), rel=1e-4)
    whole = tuple(np.sort(values))
    for value in (-1.5, 0.0, 0.7):
        exact = percentile_of(value, whole)
        assert percentile_of(value, kept) == pytest.approx(exact, abs=0.2)


def test_a_profile_sees_the_brain_only() -> None:
    image = np.zeros((20, 20, 20))
    image[5:15, 5:15, 5:15] = np.arange(1, 1001).reshape(10, 10, 10)
    expected = [1 + share * 999 for share in PROFILE_SHARES]
    assert intensity_profile(image) == pytest.approx(np.array(expected))
    assert (intensity_profile(np.zeros((4, 4, 4))) == 0).all()


def test_distances_leave_the_own_profile_out() -> None:
    profiles = np.random.default_rng(3).normal(0, 1, (6, 25))
    mean, distances = summarise_profiles(list(profiles))
    assert mean == pytest.approx(tuple(profiles.mean(axis=0)), abs=1e-4)
    slow = sorted(
        profile_distance(profiles[i], np.delete(profiles, i, axis=0).mean(axis=0))
        for i in range(6)
    )
    assert distances == pytest.approx(slow, rel=1e-4)
    assert summarise_profiles([profiles[0]]) == ((), ())
