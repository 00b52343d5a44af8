"""Group statistics against scipy, and p-values against all shuffles by hand."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from napari_neuropretrain.explanation.group_statistics import one_group, two_groups


def draw(n, voxels, seed=0):
    return np.random.default_rng(seed).normal(0.3, 1, (n, voxels))


def test_mean_spread_and_t_are_those_of_scipy():
    values = draw(9, 40)
    found = one_group(values, 0)
    np.testing.assert_allclose(found.mean, values.mean(0))
    np.testing.assert_allclose(found.sd, values.std(0, ddof=1))
    np.testing.assert_allclose(found.se, stats.sem(values))
    np.testing.assert_allclose(found.t, stats.ttest_1samp(values, 0).statistic)
    first = np.arange(9) < 4
    both = two_groups(values, first, 0)
    expected = stats.ttest_ind(values[first], values[~first]).statistic
    np.testing.assert_allclose(both.t, expected)
    np.testing.assert_allclose(
        both.difference, values[first].mean(0) - values[~first].mean(0)
    )


def test_all_sign_flips_by_hand():
    values = draw(6, 5)
    found = one_group(values, 64)
    assert found.shuffles == 64
    largest = [
        np.abs(stats.ttest_1samp(values * np.array(s)[:, None], 0).statistic).max()
        for s in product((1, -1), repeat=6)
    ]
    expected = [(np.array(largest) >= abs(t) - 1e-9).mean() for t in found.t]
    np.testing.assert_allclose(found.p, expected)


def test_all_exchanges_by_hand():
    values, first = draw(7, 5), np.array([1, 0, 1, 0, 0, 1, 0], bool)
    found = two_groups(values, first, 35)
    assert found.shuffles == 35
    largest = []
    for one in combinations(range(7), 3):
        group = np.isin(np.arange(7), one)
        t = stats.ttest_ind(values[group], values[~group]).statistic
        largest.append(np.abs(t).max())
    expected = [(np.array(largest) >= abs(t) - 1e-9).mean() for t in found.t]
    np.testing.assert_allclose(found.p, expected)


def test_a_planted_difference_is_found_where_it_is_and_chance_is_rare():
    false, hits = 0, 0
    for seed in range(30):
        values = np.random.default_rng(seed).normal(size=(24, 200))
        first = np.arange(24) < 12
        false += (two_groups(values, first, 199, seed).p <= 0.05).any()
        values[first, 7] += 5
        found = two_groups(values, first, 199, seed)
        hits += found.p[7] <= 0.05
    assert hits == 30
    assert false <= 5  # 1.5 are expected; more than 5 has a chance of 0.3 %


def test_voxels_without_spread_and_groups_of_one():
    values = draw(6, 3)
    values[:, 1] = 0
    values[:, 2] = 0.7
    found = one_group(values, 50)
    assert found.t[1] == 0
    assert found.p[1] == 1
    assert np.isfinite(found.p).all()
    alone = one_group(values[:1], 50)
    np.testing.assert_array_equal(alone.mean, values[0])
    assert np.isnan(alone.p).all()
    assert np.isnan(two_groups(values, np.arange(6) < 1, 50).p).all()


@pytest.mark.parametrize("permutations", [20, 200])
def test_the_same_seed_gives_the_same_p(permutations):
    values = draw(12, 30)
    again = [one_group(values, permutations, 3).p for _ in range(2)]
    np.testing.assert_array_equal(*again)
    assert again[0].min() >= 1 / (permutations + 1)
