"""Parts of a Vision Transformer, under the names that MONAI gives them.

Dosovitskiy et al. (2021), "An image is worth 16x16 words".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.config.contract import name_shape
from napari_neuropretrain.errors import ConfigError

Triple = tuple[int, int, int]


class PatchEmbedding(nn.Module):
    """Cut a volume into patches and turn each into a token.

    Parameters
    ----------
    patch
        Voxels of a patch along x, y and z.
    grid
        Positions along x, y and z, each with an embedding.
    dim
        Channels of a token.
    """

    def __init__(self, patch: Triple, grid: Triple, dim: int) -> None:
        super().__init__()
        self.grid = grid
        self.patch_embeddings = nn.Conv3d(1, dim, patch, patch)
        positions = torch.empty(1, grid[0] * grid[1] * grid[2], dim)
        self.position_embeddings = nn.Parameter(positions)

    def forward(self, volume: Tensor) -> Tensor:
        """Return (B, C, x, y, z) for (B, 1, X, Y, Z), without the positions."""
        tokens: Tensor = self.patch_embeddings(volume)
        return tokens


class Attention(nn.Module):
    """Multi-head self-attention over tokens (B, N, C)."""

    def __init__(
        self,
        dim: int,
        heads: int,
        dim_head: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = attention_dropout
        self.qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.out_proj = nn.Linear(heads * dim_head, dim)
        self.drop_output = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, N, C)."""
        batch, count, _ = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # 3 x (B, heads, N, C/heads)
        rate = self.attention_dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=rate
        )
        joined = mixed.transpose(1, 2).flatten(2)  # (B, N, heads * C/heads)
        outputs: Tensor = self.drop_output(self.out_proj(joined))
        return outputs

    def mix(self, tokens: Tensor, ink: Tensor) -> Tensor:
        """Return what attention brings each token of `ink`, the mean of all heads.

        Parameters
        ----------
        tokens
            As for `forward`, (B, N, C).
        ink
            (B, N, 1).
        """
        batch, count, _ = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, -1)
        query, key, _ = qkv.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        mixed: Tensor = scores.softmax(dim=-1).mean(dim=1) @ ink
        return mixed


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, N, C)."""
        hidden = self.dropout(functional.gelu(self.linear1(tokens)))
        outputs: Tensor = self.dropout(self.linear2(hidden))
        return outputs


class Block(nn.Module):
    """Attention and a perceptron, each after a normalisation and beside a shortcut."""

    def __init__(self, dim: int, attention: Attention, perceptron: Perceptron) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = perceptron

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, N, C)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens


def run_layers(
    layers: Iterable[nn.Module], norm: nn.Module, x: Tensor
) -> Iterator[Tensor]:
    """Yield `x` and the output of each layer, the last one normalised."""
    layers = list(layers)
    yield x
    for layer in layers[:-1]:
        x = layer(x)
        yield x
    yield norm(layers[-1](x))


def last_of(states: Iterable[Tensor]) -> Tensor:
    """Return the last tensor without keeping those before it."""
    return deque(states, maxlen=1)[0]


def to_map(tokens: Tensor, grid: Triple) -> Tensor:
    """Lay tokens (B, N, C) out as a map (B, C, x, y, z)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)


def check_shape(volume: Tensor, shape: Triple) -> None:
    """Refuse a volume of another shape than the network was built for.

    Raises
    ------
    ConfigError
        Names both shapes.
    """
    x, y, z = volume.shape[2:]
    if (x, y, z) != shape:
        raise ConfigError(
            f"This network was built for volumes of {name_shape(shape)} voxels, but "
            f"the volume has {name_shape((x, y, z))}. Preprocess to the shape of the "
            "network, or build it with this one in its option 'shape'."
        )
