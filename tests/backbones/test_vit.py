"""ViT against MONAI's own, and the steps that masked modelling takes."""

from __future__ import annotations

import pytest
import torch
from monai.networks.blocks import selfattention
from monai.networks.nets.vit import ViT
from torch import Tensor, nn

from napari_neuropretrain.backbones.vit import VisionTransformer, build_vit
from napari_neuropretrain.config.options.backbones import ViTOptions

SHAPE = (32, 48, 32)
OPTIONS = ViTOptions(
    hidden_size=24, mlp_dim=20, layers=3, heads=4, patch=16, shape=SHAPE
)


class Rearrange(nn.Module):
    """What MONAI's attention needs of einops, which is not installed with MONAI."""

    def __init__(self, pattern: str, **sizes: int) -> None:
        super().__init__()
        self.pattern, self.sizes = pattern, sizes

    def forward(self, x: Tensor) -> Tensor:
        if self.pattern == "b h (qkv l d) -> qkv b l h d":
            parts = x.unflatten(2, (self.sizes["qkv"], self.sizes["l"], -1))
            return parts.permute(2, 0, 3, 1, 4)
        assert self.pattern == "b l h d -> b h (l d)"
        return x.transpose(1, 2).flatten(2)


@pytest.fixture(autouse=True)
def _without_einops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfattention, "Rearrange", Rearrange)


def monai_vit(classification: bool) -> ViT:
    torch.manual_seed(0)
    network = ViT(
        1, SHAPE, 16, 24, 20, 3, 4, classification=classification, post_activation=""
    )
    for one in network.parameters():
        nn.init.normal_(one, std=0.2)
    return network.eval()


@pytest.mark.parametrize("pool", ["class", "mean", "first"])
def test_names_and_tokens_are_those_of_monai(pool: str) -> None:
    theirs = monai_vit(classification=pool == "class")
    ours = build_vit(OPTIONS.replace(pool=pool), 2).eval()
    state = theirs.state_dict()
    head = {key for key in ours.state_dict() if key.startswith(ours.head_name)}
    assert set(state) | head == set(ours.state_dict())
    kept = {key: value for key, value in ours.state_dict().items() if key in head}
    ours.load_state_dict(kept | state)
    volume = torch.randn(2, 1, *SHAPE)
    with torch.inference_mode():
        expected, states = theirs(volume)
        encoded, maps = ours.encode(volume), ours.stage_maps(volume)
        logits = ours(volume)
        if pool == "class":  # MONAI gives the logits, and states before the last norm
            tokens, first = theirs.norm(states[-1])[:, 1:], states[0][:, 1:]
            features = theirs.norm(states[-1])[:, 0]
            torch.testing.assert_close(logits, expected)
        else:
            tokens, first = expected, states[0]
            features = expected.mean(1) if pool == "mean" else expected[:, 0]
    torch.testing.assert_close(encoded.features, features)
    torch.testing.assert_close(encoded.tokens, tokens)
    torch.testing.assert_close(maps[1].flatten(2).transpose(1, 2), first)


def test_monai_has_as_many_parameters_at_full_size() -> None:
    with torch.device("meta"):
        theirs = ViT(
            1, (96,) * 3, 16, 360, 768, 6, 12, classification=True, num_classes=1
        )
    assert sum(one.numel() for one in theirs.parameters()) == 8_004_169


@pytest.fixture(params=["vit_8m", "vit_b16", "nit"])
def network(request: pytest.FixtureRequest, toy_network) -> VisionTransformer:
    return toy_network(request.param).eval()


def test_embedding_positions_and_blocks_make_up_the_encoding(network) -> None:
    volume = torch.randn(2, 1, 32, 32, 32)
    with torch.inference_mode():
        patches = network.embed(volume)
        assert patches.shape == (2, 64, network.feature_dim)
        features, tokens = network.run_blocks(network.add_positions(patches))
        encoded = network.encode(volume)
    assert torch.equal(features, encoded.features)
    assert torch.equal(tokens, encoded.tokens)


def test_a_token_is_its_patch(network) -> None:
    volume = torch.randn(1, 1, 32, 32, 32)
    other = volume.clone()
    other[0, 0, 8:16, 16:24, 24:32] += 1  # the patch at (1, 2, 3) of a 4^3 grid
    with torch.inference_mode():
        changed = (network.embed(volume) != network.embed(other)).any(dim=2)[0]
    assert changed.nonzero().tolist() == [[1 * 16 + 2 * 4 + 3]]


def test_blocks_run_on_any_tokens_in_any_order(network) -> None:
    volume = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        placed = network.add_positions(network.embed(volume))
        order = torch.randperm(64)[:10]
        features, tokens = network.run_blocks(placed[:, order])
        assert tokens.shape == (1, 10, network.feature_dim)
        turned, backwards = network.run_blocks(placed[:, order.flip(0)])
    torch.testing.assert_close(backwards.flip(1), tokens)
    if getattr(network, "pool", "class") == "class":
        torch.testing.assert_close(turned, features)
