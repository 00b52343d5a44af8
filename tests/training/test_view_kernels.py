"""The kernels of views against closed forms, and against PyTorch and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from napari_neuropretrain.training import view_intensity
from napari_neuropretrain.training.view_kernels_blur import blur, gaussian
from napari_neuropretrain.training.view_kernels_intensity import (
    change_brain,
    extremes,
)
from napari_neuropretrain.training.view_kernels_motion import (
    brain_box,
    mirror,
    stretch,
    turn,
)
from napari_neuropretrain.training.view_motion import look_up

SHAPE = (9, 12, 10)
Volume = NDArray[np.float32]
Map = NDArray[np.float64]


def noise(shape: tuple[int, ...] = SHAPE) -> Volume:
    return np.random.default_rng(3).standard_normal(shape, dtype=np.float32)


def turned(volume: Volume, map_: Map) -> Volume:
    x, y, z = volume.shape
    # Whatever was in the memory before must not be seen.
    scratch = np.full((x + 4) * (y + 2) * (z + 2), np.nan, np.float32)
    out = np.full_like(volume, np.nan)
    turn(volume, brain_box(volume), map_, scratch, out)
    return out


def stretched(volume: Volume, map_: Map) -> Volume:
    out = np.full_like(volume, np.nan)
    stretch(volume, brain_box(volume), map_, out)
    return out


def shift_map(*shift: float) -> Map:
    return np.column_stack([np.eye(3), shift])


def test_the_box_of_the_brain() -> None:
    volume = np.zeros(SHAPE, np.float32)
    volume[2, 3, 9] = volume[5, 1, 4] = -1
    assert brain_box(volume).tolist() == [[2, 6], [1, 4], [4, 10]]
    box = brain_box(np.zeros(SHAPE, np.float32))
    assert box[0, 0] >= box[0, 1]


@pytest.mark.parametrize("axes", [(), (0,), (1,), (2,), (0, 1, 2)])
def test_mirroring_is_exact(axes: tuple[int, ...]) -> None:
    map_ = np.eye(3, 4)
    map_[axes, axes] = -1
    volume, out = noise(), np.empty(SHAPE, np.float32)
    mirror(volume, map_, out)
    assert np.array_equal(out, np.flip(volume, axes))
    assert np.array_equal(stretched(volume, map_), out)
    assert np.array_equal(turned(volume, map_), out)


@pytest.mark.parametrize("look", [stretched, turned])
def test_whole_shifts_are_exact(look: object) -> None:
    volume = noise()
    expected = np.zeros_like(volume)
    expected[:7, 3:, :] = volume[2:, :-3, :]
    assert callable(look)
    assert np.array_equal(look(volume, shift_map(2, -3, 0)), expected)
    assert not look(volume, shift_map(0, 0, 40)).any()


@pytest.mark.parametrize("look", [stretched, turned])
def test_half_shifts_are_means_of_neighbours(look: object) -> None:
    volume = noise()
    assert callable(look)
    seen = look(volume, shift_map(0, 0, 0.5))
    np.testing.assert_allclose(
        seen[..., :-1], (volume[..., 1:] + volume[..., :-1]) / 2, atol=1e-6
    )
    # Behind the last voxel is background.
    np.testing.assert_allclose(seen[..., -1], volume[..., -1] / 2, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_turns_of_any_kind_follow_torch(seed: int) -> None:
    generator = np.random.default_rng(seed)
    shape = tuple(int(size) for size in generator.integers(2, 14, 3))
    volume = generator.standard_normal(shape, dtype=np.float32)
    if seed % 2:
        volume[: shape[0] // 2, :, -1:] = 0
    map_ = generator.normal(0, 0.7, (3, 4)) * [1, 1, 1, 3]
    given = torch.from_numpy(map_[None]).float()
    expected = look_up(torch.from_numpy(volume)[None, None], given)[0, 0]
    np.testing.assert_allclose(turned(volume, map_), expected, atol=3e-5)


def test_tiny_steps_stay_in_the_volume() -> None:
    map_ = np.array([[1, 0, 1e-38, 0], [0, 1, -1e-45, 0.5], [1e-30, 0, 1, 0]])
    expected = stretched(noise(), np.diag([1.0, 1, 1]) @ shift_map(0, 0.5, 0))
    np.testing.assert_allclose(turned(noise(), map_), expected, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.6, 1.0, 2.7, 10.0])
def test_blur_of_a_point_is_the_kernel(sigma: float) -> None:
    point = np.zeros((21, 23, 22), np.float32)
    point[10, 11, 9] = 1
    full = np.array([[0, 21], [0, 23], [0, 22]])
    out = np.empty_like(point)
    halves = tuple(gaussian(sigma, size) for size in point.shape)
    blur(point, full, (halves[0], halves[1], halves[2]), out)
    assert out.sum() == pytest.approx(1, abs=1e-5)
    expected = view_intensity.blur(
        torch.from_numpy(point)[None, None], torch.tensor([sigma])
    )[0, 0]
    np.testing.assert_allclose(out, expected, atol=1e-6)
    if sigma == 1:
        lags = np.arange(-4, 5)
        shape = np.exp(-0.5 * lags**2)
        np.testing.assert_allclose(out[6:15, 11, 9] / out[10, 11, 9], shape, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 1), (5, 3, 12)])
def test_blur_of_small_volumes_follows_torch(shape: tuple[int, int, int]) -> None:
    volume = noise(shape)
    x, y, z = (gaussian(1.7, size) for size in shape)
    out = np.empty_like(volume)
    blur(volume, brain_box(volume), (x, y, z), out)
    given = torch.from_numpy(volume)[None, None]
    expected = view_intensity.blur(given, torch.tensor([1.7]))[0, 0]
    np.testing.assert_allclose(out, expected, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.05, 0.8, 1.0, 1.25, 10.0])
def test_contrast_is_a_power_between_extremes(gamma: float) -> None:
    view = np.linspace(-2, 4, 1000, dtype=np.float32).reshape(10, 10, 10)
    view[3, 3, 3] = 0
    given, brain = view.astype(float), view != 0
    box = brain_box(view)
    low, high = extremes(view, view, box)
    assert (low, high) == (-2, 4)
    change_brain(view, view, box, True, (low, high, gamma, 1.1, 0.2), 0.0, np.uint64(0))
    expected = (6 * ((given + 2) / 6) ** gamma - 2) * 1.1 + 0.2
    np.testing.assert_allclose(view[brain], expected[brain], atol=1e-5)
    assert not view[~brain].any()


def draw(shape: tuple[int, int, int], sigma: float, seed: int) -> NDArray[np.float64]:
    view = np.ones(shape, np.float32)
    box, same = brain_box(view), (0.0, 0.0, 1.0, 1.0, 0.0)
    change_brain(view, view, box, False, same, sigma, np.uint64(seed))
    return (view.astype(float) - 1) / sigma


def test_noise_is_standard_normal() -> None:
    drawn = draw((64, 64, 63), 0.5, 2**62 - 1).ravel()
    count = len(drawn)
    assert abs(drawn.mean()) < 4 / math.sqrt(count)
    assert abs(drawn.var() - 1) < 4 * math.sqrt(2 / count)
    assert stats.kstest(drawn[::2], "norm").pvalue > 1e-3
    assert stats.kurtosis(drawn) == pytest.approx(0, abs=4 * math.sqrt(24 / count))
    assert 4.3 < np.abs(drawn).max() < 6.7


def test_noise_of_neighbours_rows_and_seeds_is_unrelated() -> None:
    drawn = draw((48, 50, 64), 1.0, 12345)
    other = draw((48, 50, 64), 1.0, 12346)
    bound = 4 / math.sqrt(drawn.size)
    pairs = [(drawn[lag:], drawn[: len(drawn) - lag]) for lag in (1, 2)]
    pairs += [(drawn[:, 1:], drawn[:, :-1]), (drawn[..., 1:], drawn[..., :-1])]
    pairs += [(drawn[..., 32:], drawn[..., :32])]  # made of the same bits
    for one, two in [*pairs, (drawn, other)]:
        assert abs(float((one * two).mean())) < 1.5 * bound
        # Nor are their sizes.
        assert abs(float(((one**2 - 1) * (two**2 - 1)).mean())) < 3.5 * bound
