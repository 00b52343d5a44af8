"""Coarse to fine on maps that are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.explanation.adaptive import Refinement, refine

SHAPE = (17, 18, 15)


def make_effects(seed: int, smooth: float = 2.0) -> NDArray[np.float64]:
    """Give a smooth map with a strong place, 0 in the corners as outside the brain."""
    noise = np.random.default_rng(seed).standard_normal(SHAPE)
    effects = ndimage.gaussian_filter(noise, smooth)
    effects[5:8, 6:10, 4:7] += 8 * effects.std()
    effects[:3, :4] = 0.0
    return effects


def run(
    truth: NDArray[np.float64],
    refinement: Refinement,
    first_order: NDArray[np.float64] | None = None,
) -> tuple[list, NDArray[np.float64], list[int]]:
    known = np.where(truth == 0, 0.0, np.nan)
    asked: list[int] = []

    def ask(numbers: list[int]) -> NDArray[np.float64]:
        asked.extend(numbers)
        known.ravel()[numbers] = truth.ravel()[numbers]
        return truth.ravel()[numbers]

    return list(refine(known, ask, refinement, first_order)), known, asked


def test_it_ends_with_the_truth_if_nothing_less_will_do():
    truth = make_effects(0)
    guesses, known, asked = run(truth, Refinement(correlation=1.0))
    np.testing.assert_allclose(guesses[-1].effects, truth, atol=1e-12)
    assert guesses[-1].error == 0
    assert guesses[-1].correlation == 1
    assert sorted(asked) == np.flatnonzero(truth).tolist()  # each once, zeros never
    assert not np.isnan(known).any()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wanted", [0.9, 0.97])
def test_the_error_left_is_stated(seed, wanted):
    truth = make_effects(seed)
    guesses, _, asked = run(truth, Refinement(wanted))
    last = guesses[-1]
    real = float(np.sqrt(((last.effects - truth) ** 2).mean()))
    assert len(asked) < 0.7 * truth.size
    assert np.corrcoef(last.effects.ravel(), truth.ravel())[0, 1] > wanted - 0.02
    assert real / 2.5 < last.error < real * 2.5
    assert last.correlation >= wanted
    assert all(a.error >= b.error / 2 for a, b in pairwise(guesses))


def test_it_goes_where_the_energy_is():
    truth = make_effects(1, smooth=1.0) * 0.02
    truth[10:13, 10:13, 9:12] += 1.0
    _, known, _ = run(truth, Refinement(0.97))
    inside = np.zeros(SHAPE, dtype=bool)
    inside[9:14, 9:14, 8:13] = True
    asked = ~np.isnan(known)
    assert asked[inside].mean() > 0.7
    assert asked[~inside & (truth != 0)].mean() < 0.35


def test_the_time_is_kept(monkeypatch):
    truth = make_effects(2)
    clock = iter(np.arange(0.0, 1e4, 1.0))
    monkeypatch.setattr(
        "napari_neuropretrain.explanation.adaptive.time.monotonic", lambda: next(clock)
    )
    guesses, _, asked = run(truth, Refinement(correlation=1.0, seconds=3.5))
    # 24 positions at a time, and a look at the clock after each.
    assert len(asked) == 4 * 24
    assert len(guesses) == 1
    assert 0.3 < guesses[-1].correlation < 0.97


def test_a_gradient_that_says_much_saves_most_positions():
    truth = make_effects(4)
    bend = make_effects(5, smooth=4.0)
    first_order = truth + 0.3 * bend / bend.std() * truth.std()
    with_it, _, few = run(truth, Refinement(0.95), 3 * first_order)
    without, _, many = run(truth, Refinement(0.95))
    assert len(few) < 0.5 * len(many)
    for guesses in (with_it, without):
        assert np.corrcoef(guesses[-1].effects.ravel(), truth.ravel())[0, 1] > 0.94


@pytest.mark.parametrize("kind", ["noise", "flat"])
def test_a_gradient_that_says_little_costs_little(kind):
    truth = make_effects(6)
    noise = np.random.default_rng(1).standard_normal(SHAPE)
    first_order = noise if kind == "noise" else np.zeros(SHAPE)
    guesses, _, asked = run(truth, Refinement(0.95), first_order)
    _, _, without = run(truth, Refinement(0.95))
    assert len(asked) < 1.4 * len(without)
    assert np.corrcoef(guesses[-1].effects.ravel(), truth.ravel())[0, 1] > 0.93


def test_a_linear_model_needs_the_first_look_only():
    truth = make_effects(7)
    guesses, _, asked = run(truth, Refinement(0.9999), 2 * truth)
    np.testing.assert_allclose(guesses[-1].effects, truth, atol=1e-9)
    assert len(guesses) == 1
    assert len(asked) < 0.1 * truth.size


def test_no_difference_so_far_is_no_reason_to_stop():
    truth = np.full(SHAPE, 1e-9)
    truth[9, 7, 5] = 1.0  # not on the first lattice
    _, known, _ = run(truth, Refinement(0.9))
    assert known[9, 7, 5] == 1


def test_grids_of_one_row():
    truth = np.linspace(1, 2, 9).reshape(1, 9, 1)
    guesses, _, _ = run(truth, Refinement(0.99))
    np.testing.assert_allclose(guesses[-1].effects, truth, atol=1e-12)
