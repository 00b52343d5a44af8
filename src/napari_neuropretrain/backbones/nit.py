"""NiT, the Neuroimage Transformer: a small ViT on the whole volume.

Singla, Zhao, Do, Zhou, Pohl and Adeli (2022), "Multiple instance neuroimage
transformer". Its released code is followed where it differs from the text.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from napari_neuropretrain.backbone import Encoded, Stage
from napari_neuropretrain.backbones.transformer import (
    Attention,
    Block,
    PatchEmbedding,
    Perceptron,
    Triple,
    check_shape,
    last_of,
    run_layers,
    to_map,
)
from napari_neuropretrain.config.options.backbones import (
    NeuroimageTransformerOptions,
    NiTOptions,
)


class NiT(nn.Module):
    """NiT from volumes (B, 1, X, Y, Z) of one shape to outputs (B, out_features).

    `embed`, `add_positions` and `run_blocks` are the three steps of `encode`; masked
    image modelling replaces or leaves out tokens between them.

    Parameters
    ----------
    options
        Width, depth, patch and shape.
    out_features
        Outputs of the head.
    """

    head_name = "head"
    local_name = "patch_embedding"
    token_layout = "sequence"

    def __init__(self, options: NiTOptions, out_features: int = 1) -> None:
        super().__init__()
        dim, patch = options.dim, options.patch
        x, y, z = options.shape
        self.shape = options.shape
        self.patch_size: Triple = (patch, patch, patch)
        self.grid: Triple = (x // patch, y // patch, z // patch)
        self.feature_dim = dim
        self.patch_embedding = PatchEmbedding(self.patch_size, self.grid, dim)
        nn.init.normal_(self.patch_embedding.position_embeddings)
        self.class_token = nn.Parameter(torch.randn(1, 1, dim))
        self.class_position = nn.Parameter(torch.randn(1, 1, dim))
        self.dropout = nn.Dropout(options.embedding_dropout)
        self.blocks = nn.ModuleList(
            neuroimage_block(options, options.dropout) for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, out_features)
        # The released code has these 1,025 numbers (a token and a head for distilling)
        # and never uses them; without them the count would not be the published one.
        self.unused = nn.Parameter(torch.zeros(4 * dim + 1), requires_grad=False)
        self.stages = self._stages()

    def _stages(self) -> tuple[Stage, ...]:
        middle = [(f"blocks.{number}",) for number in range(len(self.blocks) - 1)]
        first = ("patch_embedding", "class_token", "class_position", "unused")
        last = (f"blocks.{len(self.blocks) - 1}", "norm")
        return (first, *middle, last)

    def forward(self, volume: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of (B, 1, X, Y, Z)."""
        outputs: Tensor = self.head(self.encode(volume).features)
        return outputs

    def finish(self, feature_map: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of patch tokens (B, C, x, y, z)."""
        tokens = self.add_positions(feature_map.flatten(2).transpose(1, 2))
        outputs: Tensor = self.head(self.run_blocks(tokens)[0])
        return outputs

    def encode(self, volume: Tensor) -> Encoded:
        """Return the class token, which the head reads, and all patch tokens."""
        features, tokens = self.run_blocks(self.add_positions(self.embed(volume)))
        return Encoded(features, tokens, self.grid)

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the tokens after the embedding and after each block."""
        states = self._states(self.add_positions(self.embed(volume)))
        return [to_map(state[:, 1:], self.grid) for state in states]

    def embed(self, volume: Tensor) -> Tensor:
        """Return patch tokens (B, N, C) without positions, in the order of `grid`."""
        check_shape(volume, self.shape)
        tokens: Tensor = self.patch_embedding(volume)
        return tokens.flatten(2).transpose(1, 2)  # (B, C, x, y, z) -> (B, N, C)

    def add_positions(self, tokens: Tensor) -> Tensor:
        """Add the position embeddings to all N tokens (B, N, C)."""
        return tokens + self.patch_embedding.position_embeddings

    def run_blocks(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Run the blocks on any tokens (B, n, C) that carry their positions.

        Returns
        -------
        features : Tensor
            The class token (B, C).
        tokens : Tensor
            The normalised tokens (B, n, C), in the order given.
        """
        state = last_of(self._states(tokens))
        return state[:, 0], state[:, 1:]

    def _states(self, tokens: Tensor) -> Iterator[Tensor]:
        token = (self.class_token + self.class_position).expand(len(tokens), -1, -1)
        sequence = self.dropout(torch.cat((token, tokens), dim=1))
        return run_layers(self.blocks, self.norm, sequence)


def neuroimage_block(options: NeuroimageTransformerOptions, dropout: float) -> Block:
    """Return one transformer block of NiT or MiNiT."""
    attention = Attention(options.dim, options.heads, options.dim_head, dropout)
    return Block(
        options.dim, attention, Perceptron(options.dim, options.mlp_dim, dropout)
    )


def build_nit(options: NiTOptions, out_features: int = 1) -> NiT:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features)."""
    return NiT(options, out_features)
