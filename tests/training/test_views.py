"""Random views: reproducible, different for each volume, and what they say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.training.view_changes import draw_changes, place_boxes
from napari_neuropretrain.training.view_intensity import (
    add_noise,
    blur,
    cut_out,
    vary_intensity,
)
from napari_neuropretrain.training.view_motion import look_up, move
from napari_neuropretrain.training.view_processor import change_each
from napari_neuropretrain.training.views import Views, change_together

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
    torch.testing.assert_close(both, view(crop, volumes), atol=2e-5, rtol=0)


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
    turned = move(volumes, quarter)
    torch.testing.assert_close(turned, volumes.rot90(-1, (2, 3)))


def test_a_map_that_scales_and_shifts_a_ramp() -> None:
    ticks = torch.arange(20.0)
    ramp = ticks[:, None, None].expand(SHAPE)[None, None]
    map_ = torch.tensor([[[0.5, 0, 0, 1.25], [0, 1, 0, 0], [0, 0, 1, 0]]])
    seen = look_up(ramp, map_)[0, 0, :, 5, 5]
    torch.testing.assert_close(seen, 0.5 * (ticks - 9.5) + 1.25 + 9.5)


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
    extent = torch.tensor([0.25, 0.5])
    boxes = place_boxes(extent, torch.full((2, 3), place), (16, 20, 12))
    removed = 1 - cut_out(volumes, boxes).mean((1, 2, 3, 4))
    torch.testing.assert_close(removed, torch.tensor([1 / 64, 1 / 8]))
    assert bool((boxes[:, :, 0] == 0).all()) == (place == 0)
    assert bool((boxes[0, :, 1] == torch.tensor([16, 20, 12])).all()) == (place == 1)


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


@pytest.mark.parametrize("kind", ["flip", "affine", "crop", "blur", "intensity"])
def test_kernels_give_what_torch_gives(kind: str) -> None:
    # Smooth: a place off by rounding sees nearly the same.
    volumes = blur(brains(6), torch.full((6,), 1.5)) * (brains(6) != 0)
    options = NOTHING.replace(**{f"{kind}_probability": 1}, rotation_degrees=40)
    compare(options, volumes)


def test_kernels_give_what_torch_gives_of_all_together() -> None:
    volumes = blur(brains(24), torch.full((24,), 1.5)) * (brains(24) != 0)
    options = ViewOptions(noise_probability=0, flip_axes=("x", "y", "z"))
    compare(options, volumes)
    compare(options.replace(blur_sigma=(3, 9)), volumes[:8] + 0.5)  # no background


def compare(options: ViewOptions, volumes: Tensor) -> None:
    generator = torch.Generator().manual_seed(7)
    changes = draw_changes(options, len(volumes), SHAPE, generator)
    torch_says = change_together(volumes, changes)[:, 0]
    kernels_say = torch.from_numpy(change_each(volumes[:, 0].numpy(), changes, 1))
    # At the rim of the brain rounding decides whether a share of 1e-7 is seen.
    same = (torch_says != 0) == (kernels_say != 0)
    assert float(same.float().mean()) > 0.999
    torch.testing.assert_close(
        kernels_say * same, torch_says * same, atol=2e-5, rtol=1e-5
    )


def test_threads_do_not_matter() -> None:
    volumes = brains(7)
    before = torch.get_num_threads()
    try:
        seen = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            seen.append(view(ViewOptions(), volumes))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


def test_neighbours_in_the_batch_do_not_matter() -> None:
    volumes = brains(5)
    others = volumes.flip(0)  # the third one stays where it is
    one, other = view(ViewOptions(), volumes), view(ViewOptions(), others)
    assert torch.equal(one[2], other[2])
    assert not torch.equal(one[1], other[1])


def test_an_empty_volume_stays_empty() -> None:
    always = {name: 1 for name in NOTHING.model_dump() if name.endswith("probability")}
    empty = torch.zeros(3, 1, *SHAPE)
    assert torch.equal(view(ViewOptions.parse(always), empty), empty)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_type_of_the_volumes_stays(dtype: torch.dtype) -> None:
    volumes = brains(2).to(dtype).transpose(3, 4)
    seen = view(ViewOptions(), volumes)
    assert seen.dtype == dtype
    assert seen.shape == volumes.shape
    expected = view(ViewOptions(), volumes.float().contiguous())
    torch.testing.assert_close(seen, expected.to(dtype))
