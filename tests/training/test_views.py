"""Random views: reproducible, different for each volume, and what they say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.training.view_intensity import (
    add_noise,
    blur,
    cut_out,
    vary_intensity,
)
from napari_neuropretrain.training.view_motion import (
    move,
    sample_planes,
    sample_space,
)
from napari_neuropretrain.training.views import Views

NOTHING = ViewOptions(
    flip_probability=0,
    affine_probability=0,
    crop_probability=0,
    blur_probability=0,
    intensity_probability=0,
    noise_probability=0,
    cutout_probability=0,
)
SHAPE = (20, 24, 18)


def brains(count: int = 4) -> Tensor:
    """Noise in a box inside a background of 0."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, 1, *SHAPE, generator=generator)
    inside = functional.pad(torch.ones(14, 18, 12), (3,) * 6)
    return noise * inside


def view(options: ViewOptions, volumes: Tensor, seed: int = 0) -> Tensor:
    return Views(options)(volumes, torch.Generator().manual_seed(seed))


def test_the_generator_alone_decides() -> None:
    volumes = brains()
    before = volumes.clone()
    one, same, other = (view(ViewOptions(), volumes, seed) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(volumes, before)
    assert one.isfinite().all()


@pytest.mark.parametrize(
    "kind", ["affine", "crop", "blur", "intensity", "noise", "cutout"]
)
def test_volumes_of_a_batch_draw_their_own(kind: str) -> None:
    volumes = brains(1).expand(4, -1, -1, -1, -1)
    views = view(NOTHING.replace(**{f"{kind}_probability": 1}), volumes)
    for number in range(4):
        assert not torch.equal(views[number], volumes[number])
        assert not torch.equal(views[number], views[(number + 1) % 4])


def test_nothing_happens_without_chances() -> None:
    volumes = brains()
    assert torch.equal(view(NOTHING, volumes), volumes)


def test_another_chance_leaves_the_other_draws() -> None:
    volumes = brains()
    crop = NOTHING.replace(crop_probability=1)
    both = view(crop.replace(flip_probability=1), volumes.flip(2))
    assert torch.equal(both, view(crop, volumes))


def test_flip_is_exact_and_left_right_only() -> None:
    volumes = brains()
    flipped = view(NOTHING.replace(flip_probability=1), volumes)
    assert torch.equal(flipped, volumes.flip(2))
    every = NOTHING.replace(flip_probability=1, flip_axes=("x", "y", "z"))
    assert torch.equal(view(every, volumes), volumes.flip(2, 3, 4))
    half = view(NOTHING.replace(flip_probability=0.5), brains(16))
    kept = [torch.equal(a, b) for a, b in zip(half, brains(16), strict=True)]
    assert 2 < sum(kept) < 14


def test_a_ramp_cropped_and_resized_stays_linear() -> None:
    ramp = torch.arange(1.0, 21)[:, None, None].expand(SHAPE)[None, None]
    options = NOTHING.replace(crop_probability=1, crop_extent=(0.75, 0.75))
    for seed in range(4):
        line = view(options, ramp, seed)[0, 0, :, 5, 5]
        steps = line.diff()
        torch.testing.assert_close(steps, torch.full((19,), 0.75), atol=1e-5, rtol=0)
        assert line[0] >= 1
        assert line[-1] <= 20


def test_a_quarter_turn_is_exact() -> None:
    volumes = torch.randn(1, 1, 9, 9, 9)
    quarter = torch.tensor([[[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]])
    turned = move(volumes, quarter, torch.tensor([True]))
    torch.testing.assert_close(turned, volumes.rot90(-1, (2, 3)))


def test_one_axis_at_a_time_gives_what_three_at_once_give() -> None:
    volumes = brains(2)
    maps = torch.diag_embed(torch.tensor([[0.8, 0.9, 1.1], [1.2, 0.7, 1.0]]))
    maps = torch.cat([maps, torch.tensor([1.3, -2.2, 0.4]).expand(2, 3)[..., None]], 2)
    stretched = move(volumes, maps, torch.tensor([False, False]))
    sampled = move(volumes, maps, torch.tensor([True, True]))
    inside = (slice(None), slice(None), *[slice(4, -4)] * 3)
    torch.testing.assert_close(stretched[inside], sampled[inside], atol=1e-5, rtol=0)
    torch.testing.assert_close(stretched, sampled, atol=1e-5, rtol=0)


def test_two_passes_give_what_one_gives() -> None:
    ticks = [torch.linspace(-1, 1, size) for size in SHAPE]
    x, y, z = torch.meshgrid(*ticks, indexing="ij")
    smooth = torch.exp(-3 * (x**2 + 2 * y**2 + z**2 + x * z))[None, None]
    turn = torch.tensor([[0.9, -0.2, 0.1], [0.3, 1.1, -0.1], [-0.1, 0.2, 0.8]])
    shift = torch.tensor([[1.5], [-0.7], [0.4]])
    maps = torch.cat([turn, shift], 1)[None]
    planes, space = sample_planes(smooth, maps), sample_space(smooth, maps)
    inside = (slice(None), slice(None), *[slice(4, -4)] * 3)
    assert float((planes - space)[inside].abs().max()) < 0.02
    slope = (2 * x - y + 3 * z)[None, None] + 9
    planes, space = sample_planes(slope, maps), sample_space(slope, maps)
    torch.testing.assert_close(planes[inside], space[inside], atol=1e-4, rtol=0)


def test_rotation_keeps_the_middle_and_lengths() -> None:
    middle, point = torch.zeros(2, 8, 1, 21, 21, 21)
    middle[..., 10, 10, 10] = 1
    point[..., 10, 10, 16] = 1
    turn = NOTHING.replace(
        affine_probability=1, rotation_degrees=30, scaling=0, translation_voxels=0
    )
    turned = view(turn, middle)
    torch.testing.assert_close(turned[..., 10, 10, 10], torch.ones(8, 1))
    turned = view(turn, point)[:, 0]
    weights = turned / turned.sum((1, 2, 3), keepdim=True)
    ticks = torch.arange(21.0) - 10
    x, y, z = (weights.sum(axes) @ ticks for axes in ((2, 3), (1, 3), (1, 2)))
    radius = torch.stack([x, y, z]).norm(dim=0)
    torch.testing.assert_close(radius, torch.full((8,), 6.0), atol=0.3, rtol=0)
    assert float(z.min()) < 5.9


def test_blur_is_gaussian_and_preserves_the_mean() -> None:
    volumes = torch.randn(2, 1, *SHAPE)
    sigma = torch.tensor([0.8, 2.5])
    blurred = blur(volumes, sigma)
    torch.testing.assert_close(
        blurred.mean((2, 3, 4)), volumes.mean((2, 3, 4)), atol=1e-6, rtol=0
    )
    point = torch.zeros(1, 1, 21, 21, 21)
    point[..., 10, 10, 10] = 1
    line = blur(point, torch.tensor([1.0]))[0, 0, :, 10, 10]
    expected = math.exp(-0.5)
    assert float(line[11] / line[10]) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(blur(volumes, torch.tensor([1e-3, 1e-3])), volumes)


def test_contrast_reaches_from_extreme_to_extreme() -> None:
    volumes = torch.linspace(-2, 4, 8).reshape(1, 1, 2, 2, 2)
    one = torch.ones(1)
    changed = vary_intensity(volumes, 2 * one, 3 * one, 2 * one)
    share = (volumes + 2) / 6
    torch.testing.assert_close(changed, 2 * (6 * share**2 - 2) + 3)
    same = vary_intensity(volumes, one, 0 * one, one)
    torch.testing.assert_close(same, volumes)


def test_noise_has_the_deviation_it_was_asked() -> None:
    sigma = torch.tensor([0.2, 0.9])
    generator = torch.Generator().manual_seed(5)
    noisy = add_noise(torch.ones(2, 1, 24, 24, 24), sigma, generator)
    torch.testing.assert_close(noisy.std((1, 2, 3, 4)), sigma, rtol=0.03, atol=0)


@pytest.mark.parametrize("place", [0.0, 0.4, 1.0])
def test_cutout_removes_the_share_it_was_asked(place: float) -> None:
    volumes = torch.ones(2, 1, 16, 20, 12)
    cut = cut_out(volumes, torch.tensor([0.25, 0.5]), torch.full((2, 3), place))
    removed = 1 - cut.mean((1, 2, 3, 4))
    torch.testing.assert_close(removed, torch.tensor([1 / 64, 1 / 8]))


def test_background_stays_background() -> None:
    volumes = brains()
    options = ViewOptions(
        blur_probability=1,
        noise_probability=1,
        intensity_probability=1,
        affine_probability=0,
        crop_probability=0,
        flip_probability=0,
        cutout_probability=0,
    )
    assert torch.equal(view(options, volumes) != 0, volumes != 0)


def test_ranges_run_from_small_to_large() -> None:
    with pytest.raises(ConfigError, match=r"blur_sigma: the smallest value"):
        ViewOptions.parse({"blur_sigma": (2, 1)})
