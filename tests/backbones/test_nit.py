"""NiT and MiNiT against slow references that follow the paper step by step."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.backbones.minit import build_minit
from napari_neuropretrain.backbones.nit import build_nit
from napari_neuropretrain.backbones.parameters import count_parameters
from napari_neuropretrain.config.options.backbones import MiNiTOptions, NiTOptions


@pytest.mark.parametrize(
    ("build", "options", "millions"),
    [
        (build_nit, NiTOptions(shape=64), "1.800"),  # the released configuration
        (build_nit, NiTOptions(shape=96), "2.111"),
        (build_minit, MiNiTOptions(shape=64), "3.633"),  # the released configuration
        (build_minit, MiNiTOptions(blocks=5), "4.648"),  # blocks of 16, patches of 4
    ],
)
def test_counts_at_other_shapes(build, options, millions: str) -> None:
    with torch.device("meta"):
        count = count_parameters(build(options))
    assert f"{count / 1e6:.3f}" == millions


def cubes(volume: Tensor, size: int) -> list[Tensor]:
    """Cut (X, Y, Z) into cubes, z fastest."""
    starts = [range(0, edge, size) for edge in volume.shape]
    return [
        volume[x : x + size, y : y + size, z : z + size]
        for x, y, z in itertools.product(*starts)
    ]


def slow_blocks(sequence: Tensor, blocks: nn.ModuleList, norm: nn.Module) -> Tensor:
    """Run a transformer on one sequence (n, C), with attention written out."""
    for block in blocks:
        heads = block.attn.heads
        qkv = block.attn.qkv(block.norm1(sequence)).chunk(3, dim=-1)
        mixed = []
        for query, key, value in zip(
            *(one.chunk(heads, -1) for one in qkv), strict=True
        ):
            weights = (query @ key.T / query.shape[-1] ** 0.5).softmax(dim=-1)
            mixed.append(weights @ value)
        sequence = sequence + block.attn.out_proj(torch.cat(mixed, dim=-1))
        hidden = nn.functional.gelu(block.mlp.linear1(block.norm2(sequence)))
        sequence = sequence + block.mlp.linear2(hidden)
    return norm(sequence)


def embed(patches: list[Tensor], layer: nn.Conv3d) -> Tensor:
    """Multiply each patch with the kernel, (n, C)."""
    kernel = layer.weight.flatten(1)
    return torch.stack([kernel @ one.flatten() + layer.bias for one in patches])


def test_nit_against_loops(toy_network) -> None:
    network = toy_network("nit", 2).eval()
    volume = torch.randn(32, 32, 32)
    with torch.inference_mode():
        patches = embed(cubes(volume, 8), network.patch_embedding.patch_embeddings)
        placed = patches + network.patch_embedding.position_embeddings[0]
        first = (network.class_token + network.class_position)[0]
        state = slow_blocks(torch.cat((first, placed)), network.blocks, network.norm)
        torch.testing.assert_close(
            network(volume[None, None])[0], network.head(state[0])
        )


def test_minit_against_a_loop_over_blocks(toy_network) -> None:
    network = toy_network("minit", 2).eval()
    volumes = torch.randn(2, 32, 32, 32)
    kernel = network.patch_embedding.patch_embeddings
    with torch.inference_mode():
        outputs = network(volumes.unsqueeze(1))
        tokens = network.encode(volumes.unsqueeze(1)).tokens.view(2, 4, 4, 4, -1)
        for number, volume in enumerate(volumes):
            answers, seen = [], []
            for block, part in enumerate(cubes(volume, 16)):
                placed = embed(cubes(part, 8), kernel)
                placed = placed + network.patch_embedding.position_embeddings[0]
                placed = placed + network.block_embeddings[block]
                first = (network.class_token + network.class_position)[0]
                first = first + network.block_class[block]
                state = torch.cat((first, placed))
                state = slow_blocks(state, network.layers, network.norm)
                answers.append(network.head.each(state[0]))
                seen.append(state[1:])
            expected = network.head.join(torch.cat(answers))
            torch.testing.assert_close(outputs[number], expected)
            # The third patch of the last block lies at (2, 3, 2) of the grid.
            torch.testing.assert_close(tokens[number, 2, 3, 2], seen[7][2])


def test_no_block_sees_another(toy_network) -> None:
    network = toy_network("minit").eval()
    volume = torch.randn(1, 1, 32, 32, 32)
    other = volume.clone()
    other[..., :16, 16:, :16] = 0  # the block at (0, 1, 0): number 2 of 8
    with torch.inference_mode():
        before, after = network.encode(volume), network.encode(other)
    changed = (before.features != after.features).view(8, 16).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [2]
    map_changed = (before.tokens != after.tokens).any(dim=2).view(4, 4, 4)
    assert map_changed.nonzero().amin(0).tolist() == [0, 2, 0]
    assert map_changed.nonzero().amax(0).tolist() == [1, 3, 1]
