"""Agreement of maps that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.explanation.stability import (
    agree,
    compare_models,
    doubts_of_models,
)

SHAPE = (20, 20, 20)
BRAIN = np.ones(SHAPE, dtype=bool)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def test_the_same_map_agrees_and_others_do_so_by_chance():
    same = agree([noise(0), 2 * noise(0)], BRAIN)
    assert (same.correlation, same.overlap) == (1, 1)
    unlike = agree([noise(0), noise(1), noise(2)], BRAIN)
    assert abs(unlike.correlation) < 0.03
    assert unlike.overlap == pytest.approx(0.05, abs=0.02)


def test_pairs_count_equally():
    common = noise(0)
    maps = [common + noise(seed) for seed in (1, 2)] + [noise(3)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = np.mean(
        [np.corrcoef(maps[a].ravel(), maps[b].ravel())[0, 1] for a, b in pairs]
    )
    assert agree(maps, BRAIN).correlation == pytest.approx(expected, abs=1e-3)
    # Half of the variance of two of them is shared, and none of the third.
    assert expected == pytest.approx(0.5 / 3, abs=0.03)


def test_half_of_the_strongest_voxels_in_common():
    one, two = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    one[0], two[0, :10], two[1, :10] = 1, -1, 1  # 400 of 8000 voxels each
    assert agree([one, two], BRAIN).overlap == 0.5


def test_unlike_models_are_a_doubt():
    found = compare_models(noise(0), {Path("a"): noise(1), Path("b"): noise(2)}, BRAIN)
    assert [one["model"] for one in found["models"]] == ["a", "b"]
    (doubt,) = doubts_of_models(found)
    assert "2 other models" in doubt
    alike = compare_models(noise(0), {Path("a"): noise(0)}, BRAIN)
    assert doubts_of_models(alike) == []
    assert alike["models"] == [{"model": "a", "correlation": 1.0}]


def test_others_need_the_checks():
    given = {"model": "m", "input": "i", "output": "o", "others": "a,b"}
    assert ExplainConfig.parse(given).others == ("a", "b")
    for change in ({"checks": False}, {"method": "grad_cam"}):
        with pytest.raises((ValidationError, NeuropretrainError), match="others"):
            ExplainConfig.parse(given | change)
