"""Vision Transformer for volumes, under MONAI's names.

Dosovitskiy et al. (2021), "An image is worth 16x16 words". Equal to MONAI's ``ViT``
without its tanh, and faster: attention is never stored.
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
from napari_neuropretrain.config.options.backbones import ViTOptions


class VisionTransformer(nn.Module):
    """A ViT from volumes (B, 1, X, Y, Z) of one shape to outputs (B, out_features).

    `embed`, `add_positions` and `run_blocks` are the three steps of `encode`; masked
    image modelling replaces or leaves out tokens between them.

    Parameters
    ----------
    options
        Width, depth, patch and shape.
    out_features
        Outputs of the head.
    """

    head_name = "classification_head"
    local_name = "patch_embedding"
    token_layout = "sequence"

    def __init__(self, options: ViTOptions, out_features: int = 1) -> None:
        super().__init__()
        dim, patch = options.hidden_size, options.patch
        self.shape = options.shape
        self.pool = options.pool
        self.patch_size: Triple = (patch, patch, patch)
        self.grid: Triple = _grid(options.shape, patch)
        self.feature_dim = dim
        self.patch_embedding = PatchEmbedding(self.patch_size, self.grid, dim)
        self.dropout = nn.Dropout(options.dropout)
        if options.pool == "class":
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.blocks = nn.ModuleList(_block(options) for _ in range(options.layers))
        self.norm = nn.LayerNorm(dim)
        self.classification_head = nn.Linear(dim, out_features)
        self.stages = self._stages()
        self.apply(_initialise)

    def _stages(self) -> tuple[Stage, ...]:
        token = ("cls_token",) if self.pool == "class" else ()
        middle = [(f"blocks.{number}",) for number in range(len(self.blocks) - 1)]
        last = (f"blocks.{len(self.blocks) - 1}", "norm")
        return (("patch_embedding", *token), *middle, last)

    def forward(self, volume: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of (B, 1, X, Y, Z)."""
        outputs: Tensor = self.classification_head(self.encode(volume).features)
        return outputs

    def finish(self, feature_map: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of patch tokens (B, C, x, y, z)."""
        tokens = self.add_positions(feature_map.flatten(2).transpose(1, 2))
        outputs: Tensor = self.classification_head(self.run_blocks(tokens)[0])
        return outputs

    def encode(self, volume: Tensor) -> Encoded:
        """Return what the head reads, and all patch tokens."""
        features, tokens = self.run_blocks(self.add_positions(self.embed(volume)))
        return Encoded(features, tokens, self.grid)

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the tokens after the embedding and after each block."""
        states = self._states(self.add_positions(self.embed(volume)))
        return [to_map(self._patches(state), self.grid) for state in states]

    def embed(self, volume: Tensor) -> Tensor:
        """Return patch tokens (B, N, C) without positions, in the order of `grid`."""
        check_shape(volume, self.shape)
        tokens: Tensor = self.patch_embedding(volume)
        return tokens.flatten(2).transpose(1, 2)  # (B, C, x, y, z) -> (B, N, C)

    def add_positions(self, tokens: Tensor) -> Tensor:
        """Add the position embeddings to all N tokens (B, N, C)."""
        placed: Tensor = self.dropout(tokens + self.patch_embedding.position_embeddings)
        return placed

    def run_blocks(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Run the blocks on any tokens (B, n, C) that carry their positions.

        Returns
        -------
        features : Tensor
            What the head reads, (B, C).
        tokens : Tensor
            The normalised tokens (B, n, C), in the order given.
        """
        state = last_of(self._states(tokens))
        patches = self._patches(state)
        # The first of the sequence is the class token where there is one.
        features = patches.mean(dim=1) if self.pool == "mean" else state[:, 0]
        return features, patches

    def _states(self, tokens: Tensor) -> Iterator[Tensor]:
        if self.pool == "class":
            token = self.cls_token.expand(len(tokens), -1, -1)
            tokens = torch.cat((token, tokens), dim=1)
        return run_layers(self.blocks, self.norm, tokens)

    def _patches(self, state: Tensor) -> Tensor:
        return state[:, 1:] if self.pool == "class" else state


def _grid(shape: Triple, patch: int) -> Triple:
    return shape[0] // patch, shape[1] // patch, shape[2] // patch


def _block(options: ViTOptions) -> Block:
    dim, rate = options.hidden_size, options.dropout
    attention = Attention(dim, options.heads, dim // options.heads, rate, rate)
    block = Block(dim, attention, Perceptron(dim, options.mlp_dim, rate))
    # MONAI has this layer in every block and never runs it. It is here so that its
    # checkpoints load and counts agree.
    block.norm_cross_attn = nn.LayerNorm(dim).requires_grad_(False)
    return block


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, PatchEmbedding):
        nn.init.trunc_normal_(module.position_embeddings, std=0.02)


def build_vit(options: ViTOptions, out_features: int = 1) -> VisionTransformer:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features)."""
    return VisionTransformer(options, out_features)
