"""Masked modelling hides what it should, and learns to restore it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.config.catalog import METHODS
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.methods.batch import Method, PretrainBatch
from napari_neuropretrain.methods.mae import sine_positions, squared_error
from napari_neuropretrain.methods.masking import (
    cut_patches,
    draw_mask,
    normalise_blocks,
)
from napari_neuropretrain.methods.simmim import absolute_error

Build = Callable[..., nn.Module]
EDGE = 32


def build(name: str, backbone: nn.Module, **options: object) -> nn.Module:
    entry = METHODS[name]
    method: nn.Module = entry.load()(entry.options.parse(options), backbone)
    return method


def smooth_volumes(count: int = 4) -> Tensor:
    """Waves that a part tells about the rest."""
    torch.manual_seed(1)
    place = torch.arange(EDGE) / EDGE
    x, y, z = torch.meshgrid(place, place, place, indexing="ij")
    first, second, third = 6 * torch.rand(3, count, 1, 1, 1)
    waves = (6 * x + first).sin() + (6 * y + second).sin() + (6 * z + third).sin()
    return waves[:, None]


def test_the_same_number_is_hidden_in_each_volume() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = draw_mask(50, (4, 4, 4), 0.9, generator)
    assert set(mask.sum(dim=(1, 2, 3)).tolist()) == {58}
    # Every place is hidden about as often.
    assert mask.float().mean(dim=0).sub(0.9).abs().max() < 0.2
    again = draw_mask(50, (4, 4, 4), 0.9, torch.Generator().manual_seed(0))
    assert torch.equal(mask, again)


def test_patches_are_cut_x_first() -> None:
    volume = torch.arange(16.0).view(1, 1, 4, 2, 2)
    assert cut_patches(volume, (2, 2, 2)).tolist() == [
        [list(range(8)), list(range(8, 16))]
    ]


def test_blocks_are_normalised_one_by_one() -> None:
    volume = torch.randn(2, 1, 8, 8, 8) * 3 + 5
    volume[0, 0, :4, :4, :4] = 7.0  # constant: no deviation to divide by
    done = normalise_blocks(volume, (4, 4, 4))
    blocks = cut_patches(done, (4, 4, 4))
    assert blocks.mean(-1).abs().max() < 1e-5
    assert float(blocks[0, 0].abs().max()) == 0
    assert blocks[1].var(-1).sub(1).abs().max() < 1e-4


def test_errors_count_where_hidden_only() -> None:
    target, prediction = torch.zeros(1, 1, 2, 2, 2), torch.full((1, 1, 2, 2, 2), 3.0)
    mask = torch.zeros(1, 1, 2, 2, 2, dtype=torch.bool)
    mask[..., 0] = True
    prediction[..., 1] = 100.0
    assert float(squared_error(prediction, target, mask)) == 9.0
    assert float(absolute_error(prediction, target, mask)) == 3.0
    assert float(absolute_error(prediction, target, mask & ~mask)) == 0.0


def test_positions_differ_and_neighbours_are_near() -> None:
    positions = sine_positions((3, 4, 5), 24)
    assert positions.shape == (60, 24)
    assert len(torch.unique(positions, dim=0)) == 60
    assert positions.square().sum(dim=1).tolist() == pytest.approx([12.0] * 60)


@pytest.mark.parametrize("method", ["mae", "simmim"])
@pytest.mark.parametrize("backbone", ["vit_8m", "nit", "swin_t"])
def test_what_is_hidden_is_not_seen(
    method: str, backbone: str, toy_network: Build
) -> None:
    model = build(method, toy_network(backbone), block=8).eval()
    assert isinstance(model, Method)
    volumes = smooth_volumes(2)

    def restore(given: Tensor) -> Tensor:
        restored = model.restore(given, torch.Generator().manual_seed(0))
        ratio = model.masked.mask_ratio
        assert restored.mask.float().mean().item() == pytest.approx(ratio, abs=0.02)
        masks.append(restored.mask)
        prediction: Tensor = restored.prediction
        return prediction

    masks: list[Tensor] = []
    with torch.no_grad():
        before = restore(volumes)
        changed = torch.where(masks[0], 100.0, volumes)
        assert torch.allclose(before, restore(changed), atol=1e-5)
        other = torch.where(masks[0], volumes, volumes + 1)
        assert not torch.allclose(before, restore(other), atol=1e-2)


@pytest.mark.parametrize(
    ("method", "backbone", "steps"),
    [
        ("mae", "vit_8m", 60),
        ("mae", "nit", 60),
        ("mae", "swin_t", 60),
        ("simmim", "vit_8m", 120),
        ("reconstruction", "tiny_densenet", 25),
        ("reconstruction", "minit", 60),
    ],
)
def test_the_loss_falls_below_that_of_the_mean(
    method: str, backbone: str, steps: int, toy_network: Build
) -> None:
    options = {"block": 8} if method != "reconstruction" else {}
    if method == "mae":
        options |= {"normalise_blocks": False}
    model = build(method, toy_network(backbone), **options).train()
    volumes = smooth_volumes()
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    learning = [one for one in model.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=4e-3)
    batch = PretrainBatch((volumes,), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    squared = volumes.square().mean().item()
    constant = squared if method == "mae" else volumes.abs().mean().item()
    assert sum(losses[-5:]) / 5 < 0.85 * constant


@pytest.mark.parametrize("backbone", ["swin_t", "sfcn", "resenc_l", "vit_b16"])
def test_every_backbone_can_reconstruct(backbone: str, toy_network: Build) -> None:
    model = build("reconstruction", toy_network(backbone), mask_ratio=0.5, block=8)
    volumes = smooth_volumes(2)
    restored = model.restore(volumes, torch.Generator().manual_seed(0))
    assert restored.prediction.shape == volumes.shape
    assert restored.mask.float().mean().item() == 0.5
    model.loss(PretrainBatch((volumes,)))["loss"].backward()
    head = model.encoder.head_name
    for name, parameter in model.encoder.named_parameters():
        if not name.startswith(head + ".") and parameter.requires_grad:
            assert parameter.grad is not None or "class_token" in name, name


def test_a_network_without_tokens_says_why(toy_network: Build) -> None:
    with pytest.raises(ConfigError, match=r"mae does not work with .*convolutional"):
        build("mae", toy_network("tiny_densenet"))
    with pytest.raises(ConfigError, match=r"simmim .* one by one"):
        build("simmim", toy_network("minit"))


def test_brain_only_leaves_the_background_out(toy_network: Build) -> None:
    model = build("simmim", toy_network("nit"), block=8, brain_only=True).eval()
    volumes, brain = smooth_volumes(1), torch.zeros(1, 1, EDGE, EDGE, EDGE).bool()
    brain[..., :16] = True
    losses = []
    for background in (0.0, 50.0):
        given = torch.where(brain, volumes, background)
        generator = torch.Generator().manual_seed(0)
        seen = PretrainBatch((given,), brain_mask=brain, generator=generator)
        restored = model.restore(given, torch.Generator().manual_seed(0))
        counted = model.counted(restored, seen)
        assert not counted[..., 16:].any()
        losses.append(int(counted.sum()))
    assert losses[0] == losses[1] > 0
