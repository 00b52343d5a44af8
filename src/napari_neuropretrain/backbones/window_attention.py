"""Self-attention in shifted windows, as in Video Swin (Liu et al. 2022)."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.backbones.windows import (
    Triple,
    assemble,
    clamp_window,
    corner_of,
    pad_to_multiple,
    partition,
    relative_index,
    shift_mask,
)
from napari_neuropretrain.config.options.backbones import SwinOptions

_Layout: TypeAlias = tuple[Triple, Triple, Triple]
"""Window, shift and padded size of a grid of tokens."""


class WindowAttention(nn.Module):
    """Self-attention within windows, (B, x, y, z, C) to the same."""

    relative_position_index: Tensor

    def __init__(
        self, dim: int, heads: int, shifted: bool, options: SwinOptions
    ) -> None:
        super().__init__()
        self.heads = heads
        self.window: Triple = options.window
        a, b, c = options.window
        self.shift: Triple = (a // 2, b // 2, c // 2) if shifted else (0, 0, 0)
        self.true_distances = options.bias_index == "clamped"
        self.attention_dropout = options.attention_dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(options.dropout)
        table = torch.empty((2 * a - 1) * (2 * b - 1) * (2 * c - 1), heads)
        self.relative_position_bias_table = nn.Parameter(table)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", relative_index(options.window))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, x, y, z, C)."""
        windows, bias, layout = self._cut(tokens)
        whole = _put_back(self._attend(windows, bias), layout)
        x, y, z = tokens.shape[1:4]
        return whole[:, :x, :y, :z].contiguous()

    def mix(self, tokens: Tensor, ink: Tensor) -> Tensor:
        """Return what attention brings each token of `ink`, the mean of all heads.

        Parameters
        ----------
        tokens
            As for `forward`, (1, x, y, z, C).
        ink
            (1, x, y, z, 1).
        """
        windows, bias, layout = self._cut(tokens)
        inks, _, _ = self._cut(ink)  # (1, windows, N, 1)
        query, key, _ = self._projected(windows, bias)
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5 + bias
        weights = scores.softmax(dim=-1)
        weights = weights.reshape(windows.shape[1], self.heads, *weights.shape[-2:])
        whole = _put_back(weights.mean(dim=1) @ inks, layout)
        x, y, z = tokens.shape[1:4]
        return whole[:, :x, :y, :z]

    def _cut(self, tokens: Tensor) -> tuple[Tensor, Tensor, _Layout]:
        """Return windows (B, windows, N, C), the biases in them, and the layout."""
        x, y, z = tokens.shape[1:4]
        window, shift = clamp_window(self.window, self.shift, (x, y, z))
        padded = pad_to_multiple(tokens, window)
        size: Triple = (padded.shape[1], padded.shape[2], padded.shape[3])
        back = (-shift[0], -shift[1], -shift[2])
        rolled = torch.roll(padded, back, dims=(1, 2, 3)) if any(shift) else padded
        bias = self.position_bias(window)  # (heads, N, N)
        if any(shift):
            mask = shift_mask(size, window, shift, bias)
            bias = (mask.unsqueeze(1) + bias).flatten(0, 1)  # (windows * heads, N, N)
        return partition(rolled, window), bias, (window, shift, size)

    def position_bias(self, window: Triple) -> Tensor:
        """Return the bias of each pair of tokens in `window`, (heads, N, N)."""
        count = window[0] * window[1] * window[2]
        index = self.relative_position_index
        if self.true_distances:
            rows = corner_of(self.window, window).to(index.device)
            index = index[rows][:, rows]
        else:  # what torchvision does; right only where the window is whole
            index = index[:count, :count]
        return self.relative_position_bias_table[index].permute(2, 0, 1)

    def _attend(self, windows: Tensor, bias: Tensor) -> Tensor:
        """Mix the tokens of each window, (B, windows, N, C)."""
        batch, count, tokens = windows.shape[:3]
        query, key, value = self._projected(windows, bias)
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.unsqueeze(0).to(query.dtype),
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        mixed = mixed.reshape(batch, count, self.heads, tokens, -1).transpose(2, 3)
        outputs: Tensor = self.dropout(self.proj(mixed.flatten(3)))
        return outputs

    def _projected(self, windows: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """Return queries, keys and values, (B or B * windows, biases, N, C/heads)."""
        batch, count, tokens = windows.shape[:3]
        qkv = self.qkv(windows).view(batch, count, tokens, 3, self.heads, -1)
        qkv = qkv.permute(3, 0, 1, 4, 2, 5)  # (3, B, windows, heads, N, C/heads)
        # With a mask, windows differ in their bias: then they count as heads. So one
        # bias serves the whole batch, and is never copied for it.
        projected: Tensor = qkv.reshape(3, -1, len(bias), tokens, qkv.shape[-1])
        query, key, value = projected
        return query, key, value


def _put_back(windows: Tensor, layout: _Layout) -> Tensor:
    """Return the padded grid of windows (B, windows, N, C)."""
    window, shift, size = layout
    whole = assemble(windows, window, size)
    return torch.roll(whole, shift, dims=(1, 2, 3)) if any(shift) else whole
