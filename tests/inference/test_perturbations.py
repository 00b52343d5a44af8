"""Small changes of a scan, and dropout while predicting."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.inference.perturbations import (
    MAX_VOXELS,
    dropping,
    has_dropout,
    move,
    perturb,
)


@pytest.fixture
def blob() -> Tensor:
    """A smooth volume (1, 1, 16, 20, 24) with a background of exactly 0."""
    axes = [torch.arange(edge) - (edge - 1) / 2 for edge in (16, 20, 24)]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    inside = (x / 6) ** 2 + (y / 7) ** 2 + (z / 8) ** 2 < 1
    values = 1 + x / 8 + y / 20 + z / 30
    return (values * inside)[None, None]


def test_nothing_moves_by_nothing(blob: Tensor) -> None:
    same = move(blob, torch.zeros(1, 3), torch.zeros(1, 3))
    assert torch.allclose(same, blob, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_whole_step_along_an_axis(blob: Tensor, axis: int) -> None:
    shares = torch.zeros(1, 3)
    shares[0, axis] = 1 / MAX_VOXELS
    moved = move(blob, torch.zeros(1, 3), shares)
    assert torch.allclose(moved, blob.roll(-1, 2 + axis), atol=1e-4)


def test_a_quarter_turn_of_a_cube() -> None:
    cube = torch.zeros(1, 1, 9, 9, 9)
    cube[0, 0, 2:7, 3:6, 4] = torch.rand(5, 3, generator=torch.manual_seed(0)) + 1
    angles = torch.tensor([[0.0, 0.0, math.pi / 2]])
    turned = move(cube, angles, torch.zeros(1, 3))
    one, other = (torch.rot90(cube, turns, (2, 3)) for turns in (1, 3))
    near = [torch.allclose(turned, known, atol=1e-4) for known in (one, other)]
    assert sum(near) == 1


def test_copies_are_small_changes_with_every_second_mirrored(blob: Tensor) -> None:
    copies = perturb(blob[0], 6, seed=3)
    assert copies.shape == (6, *blob[0].shape)
    assert torch.equal(copies, perturb(blob[0], 6, seed=3))
    assert not torch.equal(copies, perturb(blob[0], 6, seed=4))

    def correlation(one: Tensor, other: Tensor) -> float:
        return float(
            torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]
        )

    mirrored = blob[0].flip(1)
    for index, copy in enumerate(copies):
        plain = correlation(copy, blob[0]) > correlation(copy, mirrored)
        assert plain == (index % 2 == 0)
        assert max(correlation(copy, one) for one in (blob[0], mirrored)) > 0.75
        assert float((copy == 0).float().mean()) > 0.5  # the background stays


def test_dropout_acts_alone_and_is_put_back() -> None:
    network = nn.Sequential(nn.BatchNorm1d(50), nn.Dropout(0.5)).eval()
    ones = torch.ones(2, 50)
    torch.manual_seed(7)
    following = torch.rand(1)
    torch.manual_seed(7)
    with dropping(network, seed=1):
        dropped = network(ones)
        assert network[1].training
        assert not network[0].training
    with dropping(network, seed=1):
        assert torch.equal(network(ones), dropped)
    assert set(dropped.unique().round().tolist()) == {0.0, 2.0}
    assert torch.equal(torch.rand(1), following)
    assert not network[1].training
    assert has_dropout(network)
    assert not has_dropout(nn.Sequential(nn.Dropout(0.0), nn.Linear(2, 2)))
