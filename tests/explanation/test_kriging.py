"""Kriging beside Gaussian processes in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from napari_neuropretrain.explanation import kriging
from napari_neuropretrain.explanation.kriging import interpolate


def make_points(count: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0, 9, (count, 3))


def wave(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sin(points @ [0.4, 0.3, -0.5])


@pytest.mark.parametrize("length", kriging.LENGTHS)
def test_guesses_are_those_of_a_gaussian_process(length, monkeypatch):
    monkeypatch.setattr(kriging, "LENGTHS", (length,))
    known, wanted = make_points(24, 0), make_points(40, 1)
    kernel = Matern(length, "fixed", nu=1.5)
    process = GaussianProcessRegressor(kernel, alpha=0.02, optimizer=None)
    expected, deviation = process.fit(known, wave(known)).predict(wanted, True)
    found = interpolate(known, wave(known), wanted)
    np.testing.assert_allclose(found.values, expected, atol=1e-8)
    # The expected squares are the variance plus noise, times one number that is
    # learned from the known values; 8 of 24 of them count for each place.
    variance = deviation**2 + 0.02
    assert 0.3 < np.corrcoef(found.square, variance)[0, 1] <= 1


def test_the_expected_error_is_the_real_one():
    draw = np.random.default_rng(2)
    known, wanted = make_points(200, 3), make_points(400, 4)

    def rough(points: NDArray[np.float64]) -> NDArray[np.float64]:
        noise = draw.standard_normal(len(points))
        # Ten times as rough in one half.
        return wave(points) + np.where(points[:, 0] > 4.5, 0.5, 0.05) * noise

    found = interpolate(known, rough(known), wanted)
    wrong = np.square(found.values - rough(wanted))
    for half in (wanted[:, 0] > 5.5, wanted[:, 0] < 3.5):
        assert found.square[half].mean() == pytest.approx(wrong[half].mean(), rel=0.4)


def test_two_places_are_enough():
    known = np.array([[0.0, 0, 0], [0, 0, 2]])
    found = interpolate(known, np.array([1.0, 3.0]), np.array([[0.0, 0, 1]]))
    assert 1 < found.values[0] < 3
    assert found.square[0] > 0
