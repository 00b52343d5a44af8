"""Self-attention in shifted windows, as in Video Swin (Liu et al. 2022)."""

from __future__ import annotations

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
        mixed = self._attend(partition(rolled, window), bias)
        whole = assemble(mixed, window, size)
        whole = torch.roll(whole, shift, dims=(1, 2, 3)) if any(shift) else whole
        return whole[:, :x, :y, :z].contiguous()

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
        qkv = self.qkv(windows).view(batch, count, tokens, 3, self.heads, -1)
        qkv = qkv.permute(3, 0, 1, 4, 2, 5)  # (3, B, windows, heads, N, C/heads)
        # With a mask, windows differ in their bias: then they count as heads. So one
        # bias serves the whole batch, and is never copied for it.
        query, key, value = qkv.reshape(3, -1, len(bias), tokens, qkv.shape[-1])
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
