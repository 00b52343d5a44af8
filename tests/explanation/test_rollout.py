"""Attention rollout beside products of matrices, and where it is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.backbones.window_attention import WindowAttention
from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.options.backbones import SwinOptions
from napari_neuropretrain.explanation.rollout import attention_rollout

NIT = {"dim": 16, "layers": 3, "heads": 2, "dim_head": 8, "mlp_dim": 12}
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "vit_8m": {"hidden_size": 12, "mlp_dim": 16, "layers": 3, "heads": 3}
    | {"patch": 8, "shape": "16"},
    "nit": NIT | {"patch": 8, "shape": "16"},
    "minit": NIT | {"blocks": 2, "patches": 2, "shape": "16"},
    "swin_t": {"embed_dim": 12, "depths": [2, 2], "heads": [2, 2]}
    | {"window": [4, 2, 2]},
}


def build(name: str, **options: object) -> Any:
    torch.manual_seed(0)
    entry = BACKBONES[name]
    parsed = entry.options.parse(TRANSFORMERS[name] | options)
    network = entry.load()(parsed, 1).eval()
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5)  # or attention would be even
    return network


def make_scan() -> Tensor:
    return torch.randn((16, 16, 16), generator=torch.Generator().manual_seed(0))


def slow_weights(attention: Any, tokens: Tensor) -> Tensor:
    batch, count, _ = tokens.shape
    parts = attention.qkv(tokens).view(batch, count, 3, attention.heads, -1)
    query, key = parts[:, :, 0], parts[:, :, 1]
    scores = torch.einsum("bihc,bjhc->bhij", query, key) / query.shape[-1] ** 0.5
    return scores.softmax(-1).mean(1)


def slow_rollout(layers: Any, run: Any) -> Tensor:
    """Multiply the matrices of all layers, (B, N, N)."""
    total: list[Tensor] = []

    def attend(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        weights = slow_weights(module, inputs[0])
        mixed = 0.5 * weights + 0.5 * torch.eye(weights.shape[-1])
        total[:] = [mixed @ total[0]] if total else [mixed]

    hooks = [one.attn.register_forward_pre_hook(attend) for one in layers]
    run()
    for hook in hooks:
        hook.remove()
    return total[0]


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "pool"),
    [("vit_8m", "class"), ("vit_8m", "mean"), ("vit_8m", "first"), ("nit", "class")],
)
def test_sequences_are_products_of_matrices(name, pool):
    network = build(name, **({"pool": pool} if name == "vit_8m" else {}))
    image = make_scan()
    total = slow_rollout(network.blocks, lambda: network(image[None, None]))[0]
    row = total.mean(0) if pool == "mean" else total[0]
    expected = row[-8:] / row[-8:].sum()
    found = attention_rollout(network, image)
    torch.testing.assert_close(found.flatten(), expected)
    assert float(found.std()) > 0.01


@torch.no_grad()
def test_blocks_count_by_their_part_in_the_output():
    network = build("minit")
    image = make_scan()
    total = slow_rollout(network.layers, lambda: network(image[None, None]))
    shares = total[:, 0, 1:]  # (blocks, patches), from each class token
    features = network.encode(image[None, None]).features.reshape(8, -1)
    parts = (network.head.each(features)[:, 0] * network.head.join.weight[0]).abs()
    expected = torch.zeros(4, 4, 4)
    for block in range(8):
        x, y, z = 2 * (block // 4), 2 * (block // 2 % 2), 2 * (block % 2)
        cells = (parts[block] * shares[block]).reshape(2, 2, 2)
        expected[x : x + 2, y : y + 2, z : z + 2] = cells
    found = attention_rollout(network, image)
    torch.testing.assert_close(found, expected / expected.sum())
    assert float(parts.std() / parts.mean()) > 0.1


@torch.no_grad()
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(4, 4, 4), (5, 6, 3)])
def test_ink_in_windows_goes_where_values_go(shifted, size):
    torch.manual_seed(0)
    options = SwinOptions.parse({"window": [4, 2, 2]})
    attention = WindowAttention(6, 1, shifted, options).eval()
    nn.init.normal_(attention.relative_position_bias_table)
    nn.init.zeros_(attention.qkv.bias)
    attention.qkv.weight[12:] = torch.eye(6)  # values are the tokens themselves
    attention.proj.weight.copy_(torch.eye(6))
    nn.init.zeros_(attention.proj.bias)
    tokens = torch.randn(1, *size, 6)
    expected = attention(tokens)[..., :1]
    torch.testing.assert_close(attention.mix(tokens, tokens[..., :1]), expected)


@torch.no_grad()
def test_even_attention_in_windows_is_shared_evenly():
    network = build("swin_t")
    image = make_scan()
    found = attention_rollout(network, image)
    assert found.shape == (8, 4, 4)
    assert float(found.sum()) == pytest.approx(1)
    assert float(found.min()) >= 0
    assert float(found.std() * found.numel()) > 0.05
    for module in network.modules():
        if isinstance(module, WindowAttention):
            module.qkv.weight.zero_()
            module.qkv.bias.zero_()
            module.relative_position_bias_table.zero_()
    even = attention_rollout(network, image)
    torch.testing.assert_close(even, torch.full_like(even, 1 / even.numel()))


@torch.no_grad()
def test_a_merging_of_odd_edges_keeps_every_token():
    network = build("swin_t", window=[4, 3, 3])
    found = attention_rollout(network, make_scan()[:, :12, :12])
    assert found.shape == (8, 3, 3)
    assert float(found.min()) > 0
