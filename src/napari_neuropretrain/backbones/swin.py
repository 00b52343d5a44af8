"""Video Swin Transformer: attention in shifted windows of tokens.

Liu et al. (2022), "Video Swin Transformer". Names and results are those of
torchvision's ``swin3d_t``, whose Kinetics-400 weights it can hold. MONAI's
``SwinTransformer`` is another network. The first axis of a volume, left to right,
is the time of the video: it is never made coarser after the patches.
"""

from __future__ import annotations

from itertools import count

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.backbone import Encoded, Stage
from napari_neuropretrain.backbones.feature_maps import run_stages
from napari_neuropretrain.backbones.window_attention import WindowAttention
from napari_neuropretrain.backbones.windows import Triple, pad_to_multiple
from napari_neuropretrain.config.options.backbones import SwinOptions


class PatchEmbed(nn.Module):
    """Turn patches into tokens; sizes that do not divide are padded with zeros."""

    def __init__(self, patch: Triple, in_channels: int, dim: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv3d(in_channels, dim, patch, patch)
        self.norm = nn.LayerNorm(dim)

    def forward(self, volume: Tensor) -> Tensor:
        """Return tokens (B, x, y, z, C) of (B, channels, X, Y, Z)."""
        x, y, z = (
            -edge % one for edge, one in zip(volume.shape[2:], self.patch, strict=True)
        )
        tokens = self.proj(functional.pad(volume, (0, z, 0, y, 0, x)))
        outputs: Tensor = self.norm(tokens.permute(0, 2, 3, 4, 1))
        return outputs


class StochasticDepth(nn.Module):
    """Leave out a branch for some volumes of a training batch (Huang et al. 2016)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """Return `branch`, zero for some volumes and larger for the others."""
        if not self.training or self.probability == 0:
            return branch
        keep = 1 - self.probability
        shape = (len(branch), *(1,) * (branch.ndim - 1))
        return branch * branch.new_empty(shape).bernoulli_(keep).div_(keep)


class SwinBlock(nn.Module):
    """Window attention and a perceptron, each beside a shortcut."""

    def __init__(
        self, dim: int, heads: int, shifted: bool, skipped: float, options: SwinOptions
    ) -> None:
        super().__init__()
        hidden, rate = int(dim * options.mlp_ratio), options.dropout
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, shifted, options)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden),
            nn.GELU(),
            nn.Dropout(rate),
            nn.Linear(hidden, dim),
            nn.Dropout(rate),
        )
        self.stochastic_depth = StochasticDepth(skipped)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, x, y, z, C)."""
        tokens = tokens + self.stochastic_depth(self.attn(self.norm1(tokens)))
        tokens = tokens + self.stochastic_depth(self.mlp(self.norm2(tokens)))
        return tokens


class PatchMerging(nn.Module):
    """Join 2x2 tokens in y and z into one of twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, x, y/2, z/2, 2C)."""
        even = pad_to_multiple(tokens, (1, 2, 2))
        corners = [even[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return merged


class SwinTransformer(nn.Module):
    """Swin from volumes (B, in_channels, X, Y, Z) to outputs (B, out_features).

    `embed` and `run_blocks` are the two steps of `encode`; masked image modelling
    replaces tokens between them.

    Parameters
    ----------
    options
        Width, depth, patch and window.
    out_features
        Outputs of the head.
    in_channels
        1 for scans; 3 for video frames.
    """

    head_name = "head"
    local_name = "patch_embed.proj"
    token_layout = "map"

    def __init__(
        self, options: SwinOptions, out_features: int = 1, in_channels: int = 1
    ) -> None:
        super().__init__()
        self.patch_size: Triple = options.patch
        # Voxels that a token of the last stage stands for.
        x, y, z = options.patch
        merged = 2 ** (len(options.depths) - 1)
        self.cell_size: Triple = (x, y * merged, z * merged)
        widths = [options.embed_dim * 2**i for i in range(len(options.depths))]
        self.patch_embed = PatchEmbed(options.patch, in_channels, widths[0])
        self.features = nn.Sequential(*_layers(options, widths))
        self.norm = nn.LayerNorm(widths[-1])
        self.head = nn.Linear(widths[-1], out_features)
        self.feature_dim = widths[-1]
        self.stages = _stages(len(widths))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, volume: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of (B, in_channels, X, Y, Z)."""
        outputs: Tensor = self.head(self.encode(volume).features)
        return outputs

    def finish(self, feature_map: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of whole patches (B, C, x, y, z)."""
        tokens = self.patch_embed.norm(feature_map.permute(0, 2, 3, 4, 1))
        last = self.run_blocks(tokens)
        outputs: Tensor = self.head(last.mean(dim=(1, 2, 3)))
        return outputs

    def encode(self, volume: Tensor) -> Encoded:
        """Return the mean of the last tokens, and these."""
        last = self.run_blocks(self.embed(volume))
        x, y, z = last.shape[1:4]
        tokens = last.flatten(1, 3)  # (B, x, y, z, C) -> (B, N, C)
        return Encoded(tokens.mean(dim=1), tokens, (x, y, z))

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the tokens after the patches and after each stage."""
        maps = run_stages(self, self.stages, volume)
        return [one.permute(0, 4, 1, 2, 3) for one in maps]  # channels to the front

    def embed(self, volume: Tensor) -> Tensor:
        """Return patch tokens (B, x, y, z, C)."""
        tokens: Tensor = self.patch_embed(volume)
        return tokens

    def run_blocks(self, tokens: Tensor) -> Tensor:
        """Return the normalised tokens of the last stage, (B, x, y', z', C')."""
        last: Tensor = self.norm(self.features(tokens))
        return last


def _layers(options: SwinOptions, widths: list[int]) -> list[nn.Module]:
    """Return stages and the mergings between them, in turn."""
    last = max(sum(options.depths) - 1, 1)
    rates = (options.stochastic_depth * number / last for number in count())
    layers: list[nn.Module] = []
    for dim, depth, heads in zip(widths, options.depths, options.heads, strict=True):
        if layers:
            layers.append(PatchMerging(dim // 2))
        layers.append(
            nn.Sequential(
                *(
                    SwinBlock(dim, heads, number % 2 == 1, next(rates), options)
                    for number in range(depth)
                )
            )
        )
    return layers


def _stages(count: int) -> tuple[Stage, ...]:
    """Name the layers of each stage; a merging opens the stage after it."""
    names: list[Stage] = [("patch_embed",), ("features.0",)]
    names += [
        (f"features.{a}", f"features.{a + 1}") for a in range(1, 2 * count - 1, 2)
    ]
    names[-1] = (*names[-1], "norm")
    return tuple(names)


def build_swin(options: SwinOptions, out_features: int = 1) -> SwinTransformer:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features)."""
    return SwinTransformer(options, out_features)
