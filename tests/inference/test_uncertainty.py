"""Spreads and intervals against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from napari_neuropretrain.inference.uncertainty import estimate, expit, logit

Z90 = 1.6448536269514722


def test_an_ensemble_of_numbers_is_its_mean_and_standard_deviation() -> None:
    found = estimate([60.0, 64.0, 68.0], [], "ensemble", False, 0.9)
    assert found.value == 64.0
    assert found.spread is not None
    assert (found.spread.low, found.spread.high) == pytest.approx(
        (64 - 4 * Z90, 64 + 4 * Z90)
    )
    assert found.samples == 3
    assert found.interval is found.spread


def test_an_ensemble_of_probabilities_is_averaged_as_logits() -> None:
    found = estimate([expit(1.0), expit(3.0)], [], "ensemble", True, 0.9)
    assert found.value == pytest.approx(expit(2.0))
    assert found.spread is not None
    assert found.spread.high == pytest.approx(expit(2 + math.sqrt(2) * Z90))
    assert logit(found.spread.low) == pytest.approx(2 - math.sqrt(2) * Z90)


def test_looks_that_are_all_off_by_the_same_count() -> None:
    found = estimate([50.0], [53.0, 53.0, 53.0], "tta", False, 0.9)
    assert found.value == 50.0
    assert found.spread is not None
    assert found.spread.high == pytest.approx(50 + 3 * Z90)
    assert found.spread.kind == "tta"


def test_the_calibrated_interval_is_the_one_to_show() -> None:
    residuals = [float(error) for error in range(1, 20)]
    found = estimate([50.0], [51.0], "dropout", False, 0.9, residuals)
    assert found.interval is not None
    assert found.interval.kind == "conformal"
    assert (found.interval.low, found.interval.high) == (32.0, 68.0)
    few = estimate([50.0], [51.0], "dropout", False, 0.9, residuals[:5])
    assert few.interval is few.spread
    assert estimate([0.5], [], "none", True, 0.9, residuals).interval is None


def test_a_certain_probability_stays_a_probability() -> None:
    found = estimate([1.0], [0.0, 1.0], "tta", True, 0.9)
    assert found.value == 1.0
    assert found.spread is not None
    assert 0 <= found.spread.low < found.spread.high <= 1
