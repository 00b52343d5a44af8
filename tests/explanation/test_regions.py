"""Shares and peaks of small maps counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.regions import (
    find_peaks,
    strongest_threshold,
    top_share_in_region,
)


def test_strongest_voxels_are_counted_in_the_region():
    occlusion = np.zeros((10, 10, 10))
    brain = np.zeros(occlusion.shape, dtype=bool)
    brain[:5] = True  # 500 voxels, so the strongest 5 % are 25
    region = np.zeros(occlusion.shape, dtype=bool)
    region[0, :2] = True  # 20 voxels of the brain
    region[9] = True  # outside: does not count
    occlusion[0, :2] = -2.0  # strong, negative
    occlusion[1, 0, :5] = 1.0
    occlusion[9] = 100.0  # outside the brain: does not count
    inside, chance = top_share_in_region(occlusion, brain, region)
    assert inside == pytest.approx(20 / 25)
    assert chance == pytest.approx(20 / 500)
    assert strongest_threshold(occlusion, brain) == 1.0


def test_a_flat_map_is_at_chance():
    brain = np.ones((6, 6, 6), dtype=bool)
    region = np.zeros(brain.shape, dtype=bool)
    region[:2] = True
    inside, chance = top_share_in_region(np.zeros(brain.shape), brain, region)
    assert inside == pytest.approx(chance) == pytest.approx(1 / 3)


def test_a_random_map_is_near_chance():
    brain = np.ones((40, 40, 40), dtype=bool)
    region = np.zeros(brain.shape, dtype=bool)
    region[5:20, 5:20, 5:20] = True
    noise = np.random.default_rng(0).standard_normal(brain.shape)
    inside, chance = top_share_in_region(noise, brain, region)
    assert inside == pytest.approx(chance, abs=0.015)


@pytest.mark.parametrize("wrong", ["shape", "empty"])
def test_grids_must_agree(wrong):
    brain = np.ones((4, 4, 4), dtype=bool)
    if wrong == "shape":
        with pytest.raises(ConfigError, match="one grid"):
            top_share_in_region(np.zeros((4, 4, 4)), brain, brain[:2])
    else:
        with pytest.raises(ConfigError, match="empty"):
            top_share_in_region(np.zeros((4, 4, 4)), ~brain, brain)


def test_peaks_have_world_coordinates_and_volumes():
    occlusion = np.zeros((12, 12, 12), dtype=np.float32)
    occlusion[2, 3, 4] = 0.5
    occlusion[2, 3, 5] = 0.4
    occlusion[9, 9, 9] = -0.9
    occlusion[6, 6, 6] = 0.1  # below the threshold
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-10, -20, -30]
    strong, weak = find_peaks(occlusion, affine, threshold=0.3)
    assert (strong.value, strong.voxels) == (pytest.approx(-0.9), 1)
    assert (strong.x_mm, strong.y_mm, strong.z_mm) == (8, -2, -12)
    assert (weak.x_mm, weak.y_mm, weak.z_mm) == (-6, -14, -22)
    assert weak.size_mm3 == pytest.approx(16)


def test_a_flat_map_has_no_peaks():
    assert find_peaks(np.zeros((4, 4, 4)), np.eye(4), threshold=0.0) == []
