"""MiNiT, the Multiple-instance Neuroimage Transformer.

Singla, Zhao, Do, Zhou, Pohl and Adeli (2022), "Multiple instance neuroimage
transformer". A volume is a bag of blocks; one small transformer, told which block it
looks at by an embedding, sees each of them, and a linear layer joins what it says.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from napari_neuropretrain.backbone import Encoded, Stage
from napari_neuropretrain.backbones.nit import neuroimage_block
from napari_neuropretrain.backbones.transformer import (
    PatchEmbedding,
    Triple,
    check_shape,
    last_of,
    run_layers,
    to_map,
)
from napari_neuropretrain.config.options.backbones import MiNiTOptions


class BlockHead(nn.Module):
    """Outputs of each block, then outputs of the whole from all of them."""

    def __init__(self, blocks: int, dim: int, out_features: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.each = nn.Linear(dim, out_features)
        self.join = nn.Linear(blocks * out_features, out_features)

    def forward(self, features: Tensor) -> Tensor:
        """Return outputs (B, out_features) of features (B, blocks * C)."""
        each = self.each(
            features.reshape(len(features), self.blocks, -1)
        )  # (B, blocks, out)
        outputs: Tensor = self.join(each.flatten(1))
        return outputs


class MiNiT(nn.Module):
    """MiNiT from volumes (B, 1, X, Y, Z) of one shape to outputs (B, out_features).

    All blocks of all volumes are one batch of the transformer.

    Parameters
    ----------
    options
        Width, depth, blocks, patches and shape.
    out_features
        Outputs of the head.
    """

    head_name = "head"

    def __init__(self, options: MiNiTOptions, out_features: int = 1) -> None:
        super().__init__()
        dim, edge, inner = options.dim, options.blocks, options.patches
        cells = edge * inner
        x, y, z = options.shape
        self.shape = options.shape
        self.edge, self.inner = edge, inner
        self.patch_size: Triple = (x // cells, y // cells, z // cells)
        self.grid: Triple = (cells, cells, cells)
        self.feature_dim = edge**3 * dim
        self.patch_embedding = PatchEmbedding(self.patch_size, (inner,) * 3, dim)
        nn.init.normal_(self.patch_embedding.position_embeddings)
        self.class_token = nn.Parameter(torch.randn(1, 1, dim))
        self.class_position = nn.Parameter(torch.randn(1, 1, dim))
        # Of each block: one vector for each patch, and one for the class token.
        self.block_embeddings = nn.Parameter(torch.randn(edge**3, inner**3, dim))
        self.block_class = nn.Parameter(torch.randn(edge**3, 1, dim))
        self.dropout = nn.Dropout(options.embedding_dropout)
        self.layers = nn.ModuleList(
            neuroimage_block(options, options.dropout) for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = BlockHead(edge**3, dim, out_features)
        self.stages = self._stages()

    def _stages(self) -> tuple[Stage, ...]:
        middle = [(f"layers.{number}",) for number in range(len(self.layers) - 1)]
        first = ("patch_embedding", "class_token", "class_position")
        blocks = ("block_embeddings", "block_class")
        last = (f"layers.{len(self.layers) - 1}", "norm")
        return ((*first, *blocks), *middle, last)

    def forward(self, volume: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of (B, 1, X, Y, Z)."""
        outputs: Tensor = self.head(self.encode(volume).features)
        return outputs

    def encode(self, volume: Tensor) -> Encoded:
        """Return the class tokens of all blocks in a row, and all patch tokens."""
        features, tokens = self.run_blocks(self.add_positions(self.embed(volume)))
        return Encoded(features, self._assemble(tokens), self.grid)

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the tokens of the whole volume after the embedding and each layer."""
        states = self._states(self.add_positions(self.embed(volume)))
        return [to_map(self._assemble(state[:, 1:]), self.grid) for state in states]

    def embed(self, volume: Tensor) -> Tensor:
        """Return patch tokens (B * blocks, n, C) of each block, without positions."""
        check_shape(volume, self.shape)
        # Patches never cross blocks, so the whole volume is embedded at once.
        tokens: Tensor = self.patch_embedding(volume)  # (B, C, x, y, z)
        pairs = (self.edge, self.inner) * 3
        parts = tokens.reshape(*tokens.shape[:2], *pairs)
        parts = parts.permute(0, 2, 4, 6, 3, 5, 7, 1)  # blocks, patches, channels
        return parts.reshape(-1, self.inner**3, tokens.shape[1])

    def add_positions(self, tokens: Tensor) -> Tensor:
        """Add where a patch is in its block, and which block it is."""
        blocks = tokens.reshape(
            -1, self.edge**3, *tokens.shape[1:]
        )  # (B, blocks, n, C)
        places = self.patch_embedding.position_embeddings + self.block_embeddings
        placed: Tensor = blocks + places
        return placed.flatten(0, 1)

    def run_blocks(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Run the transformer on the tokens (B * blocks, n, C) of whole volumes.

        Returns
        -------
        features : Tensor
            The class tokens of each volume's blocks in a row, (B, blocks * C).
        tokens : Tensor
            The normalised tokens, (B * blocks, n, C).
        """
        state = last_of(self._states(tokens))
        features = state[:, 0].reshape(-1, self.feature_dim)
        return features, state[:, 1:]

    def see_blocks(self, tokens: Tensor, numbers: list[int]) -> Tensor:
        """Return the class tokens (n, C) of any blocks, each seen alone.

        Parameters
        ----------
        tokens
            Patch tokens of each block, (n, patches, C), without positions.
        numbers
            Which block each is.
        """
        placed = tokens + self.patch_embedding.position_embeddings
        placed = placed + self.block_embeddings[numbers]
        token = self.class_token + self.class_position + self.block_class[numbers]
        sequence = torch.cat((token, placed), dim=1)
        return last_of(run_layers(self.layers, self.norm, sequence))[:, 0]

    def _states(self, tokens: Tensor) -> Iterator[Tensor]:
        token = self.class_token + self.class_position + self.block_class
        repeated = token.repeat(len(tokens) // len(token), 1, 1)  # (B * blocks, 1, C)
        sequence = self.dropout(torch.cat((repeated, tokens), dim=1))
        return run_layers(self.layers, self.norm, sequence)

    def _assemble(self, tokens: Tensor) -> Tensor:
        """Put the tokens (B * blocks, n, C) of blocks in the order of `grid`."""
        edges = (self.edge,) * 3 + (self.inner,) * 3
        parts = tokens.reshape(-1, *edges, tokens.shape[2])
        parts = parts.permute(0, 1, 4, 2, 5, 3, 6, 7)  # (B, x, y, z, C), in pairs
        return parts.reshape(len(parts), -1, tokens.shape[2])


def build_minit(options: MiNiTOptions, out_features: int = 1) -> MiNiT:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features)."""
    return MiNiT(options, out_features)
