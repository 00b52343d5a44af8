"""Tables and kernels in another shape still do what they did."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.weights.reshaping import (
    guess_cube,
    guess_window,
    resize_bias_table,
    resize_positions,
    sum_input_channels,
    unfold_patches,
)


def test_a_summed_stem_answers_grey_as_the_rgb_stem_does() -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 2, 4, 4)
    grey = torch.randn(2, 1, 8, 8, 8)
    expected = functional.conv3d(grey.expand(-1, 3, -1, -1, -1), weight)
    found = functional.conv3d(grey, sum_input_channels(weight))
    assert torch.allclose(found, expected, atol=1e-5)


def _linear_table(window: tuple[int, int, int], slopes: Tensor) -> Tensor:
    """A bias linear in each relative offset, from -1 to 1 along each axis."""
    axes = [torch.linspace(-1, 1, 2 * edge - 1) for edge in window]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # (3, N)
    return (slopes @ grid).T  # (N, heads)


@pytest.mark.parametrize(
    "windows", [((8, 7, 7), (4, 7, 7)), ((8, 7, 7), (5, 6, 3)), ((2, 3, 4), (3, 4, 5))]
)
def test_a_linear_bias_stays_linear_along_each_axis(
    windows: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    source, target = windows
    slopes = torch.tensor([[1.0, 0, 0], [0, 10, 0], [0, 0, 100], [1, 2, 3]])
    sized = resize_bias_table(_linear_table(source, slopes), source, target)
    assert torch.allclose(sized, _linear_table(target, slopes), atol=1e-4)


def test_the_bias_at_offset_zero_is_kept() -> None:
    torch.manual_seed(0)
    table = torch.randn(15 * 13 * 13, 3)
    sized = resize_bias_table(table, (8, 7, 7), (3, 4, 5))
    assert torch.allclose(sized[len(sized) // 2], table[len(table) // 2], atol=1e-6)


def test_positions_are_interpolated_along_the_right_axes() -> None:
    # Each channel knows one axis, so a mix-up of axes shows.
    def known(grid: tuple[int, int, int]) -> Tensor:
        axes = [(torch.arange(edge) + 0.5) / edge for edge in grid]
        cube = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        return cube.flatten(1).T[None]  # (1, N, 3)

    sized = resize_positions(known((6, 6, 6)), (6, 6, 6), (5, 6, 4))
    assert sized.shape == (1, 120, 3)
    expected = known((5, 6, 4))
    # At the rim there is nothing to interpolate with: half a token is lost.
    assert (sized - expected).abs().max() <= 0.5 / 6
    inner = (expected > 1 / 6).all(dim=2) & (expected < 5 / 6).all(dim=2)
    assert torch.allclose(sized[inner], expected[inner], atol=1e-6)


def test_a_linear_patch_embedding_is_the_convolution() -> None:
    torch.manual_seed(0)
    patch, channels = (2, 3, 4), 2
    linear = torch.randn(5, 2 * 3 * 4 * channels)
    volume = torch.randn(1, channels, 4, 6, 8)
    rows = []
    for x, y, z in itertools.product(range(2), repeat=3):
        cut = volume[0, :, 2 * x : 2 * x + 2, 3 * y : 3 * y + 3, 4 * z : 4 * z + 4]
        # MONAI's "perceptron": (p1 p2 p3 c), the channel last
        rows.append(linear @ cut.permute(1, 2, 3, 0).flatten())
    convolved = functional.conv3d(volume, unfold_patches(linear, patch), stride=patch)
    found = convolved[0].flatten(1).T
    assert torch.allclose(found, torch.stack(rows), atol=1e-4)


@pytest.mark.parametrize(
    ("entries", "window"),
    [
        (15 * 13 * 13, (8, 7, 7)),
        (7 * 13 * 13, (4, 7, 7)),
        (31 * 13 * 13, (16, 7, 7)),
        (13**3, (7, 7, 7)),
        (3 * 5 * 5, (2, 3, 3)),
    ],
)
def test_the_usual_windows_are_guessed(
    entries: int, window: tuple[int, int, int]
) -> None:
    assert guess_window(entries) == window


def test_a_grid_that_is_no_cube_is_not_guessed() -> None:
    assert guess_cube(125) == (5, 5, 5)
    assert guess_cube(120) is None
