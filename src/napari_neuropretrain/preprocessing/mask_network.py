"""The small 3D network that finds the brain in a head."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64, 96)
"""Channels of each level, finest first; multiples of 16 are fast on CPUs."""
MASKS = ("brain", "cranium")
"""What the network marks: the brain, and all that lies inside the skull."""


class MaskNetwork(nn.Module):
    """U-Net on 2 x 2 x 2 blocks of voxels: eight voxels become eight channels.

    Folding the voxels into channels keeps 2 mm detail at the cost of a 4 mm
    network (Shi et al., CVPR 2016, doi:10.1109/CVPR.2016.207).

    Parameters
    ----------
    widths
        Channels of each level, finest first.
    masks
        Number of masks to find.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, masks: int = len(MASKS)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stem = _Block(8, widths[0])
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in pairs)
        self.encoders = nn.ModuleList(_Block(b, b) for _, b in pairs)
        self.ups = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in reversed(pairs))
        self.decoders = nn.ModuleList(_Block(a, a) for a, _ in reversed(pairs))
        self.head = nn.Conv3d(widths[0], 8 * masks, 1)

    @property
    def multiple(self) -> int:
        """Every edge of the input must be a multiple of this."""
        return int(2 ** len(self.widths))

    def forward(self, volume: Tensor) -> Tensor:
        """Logits (B, M, X, Y, Z), one a mask, of a volume (B, 1, X, Y, Z)."""
        features = self.stem(space_to_depth(volume))  # (B, C, X/2, Y/2, Z/2)
        skips: list[Tensor] = []
        for down, encoder in zip(self.downs, self.encoders, strict=True):
            skips.append(features)
            features = encoder(down(features))
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            # Narrow first: interpolation is cheaper on fewer channels.
            wide = functional.interpolate(up(features), scale_factor=2.0)
            features = decoder(wide + skips.pop())
        return depth_to_space(self.head(features))


class _Block(nn.Module):
    """Two convolutions with instance normalisation around a shortcut."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(incoming, outgoing, 3, padding=1, bias=False)
        self.first_norm = nn.InstanceNorm3d(outgoing, affine=True)
        self.second = nn.Conv3d(outgoing, outgoing, 3, padding=1, bias=False)
        self.second_norm = nn.InstanceNorm3d(outgoing, affine=True)
        same = incoming == outgoing
        self.shortcut = nn.Identity() if same else nn.Conv3d(incoming, outgoing, 1)

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.leaky_relu(self.first_norm(self.first(features)), 0.01)
        inner = self.second_norm(self.second(inner))
        return functional.leaky_relu(inner + self.shortcut(features), 0.01)


def space_to_depth(volume: Tensor) -> Tensor:
    """Fold (B, 1, X, Y, Z) into (B, 8, X/2, Y/2, Z/2).

    Examples
    --------
    >>> volume = torch.arange(64.0).reshape(1, 1, 4, 4, 4)
    >>> bool((depth_to_space(space_to_depth(volume)) == volume).all())
    True
    """
    batch, _, x, y, z = volume.shape
    blocks = volume.reshape(batch, x // 2, 2, y // 2, 2, z // 2, 2)
    folded = blocks.permute(0, 2, 4, 6, 1, 3, 5)
    return folded.reshape(batch, 8, x // 2, y // 2, z // 2)


def depth_to_space(blocks: Tensor) -> Tensor:
    """Unfold (B, 8 C, X/2, Y/2, Z/2) into (B, C, X, Y, Z)."""
    batch, folded, x, y, z = blocks.shape
    split = blocks.reshape(batch, folded // 8, 2, 2, 2, x, y, z)
    unfolded = split.permute(0, 1, 5, 2, 6, 3, 7, 4)
    return unfolded.reshape(batch, folded // 8, 2 * x, 2 * y, 2 * z)


def scale_intensities(volume: Tensor) -> Tensor:
    """Divide by the median of the head, after removing the background level.

    Parameters
    ----------
    volume
        Intensities of any scale, float (X, Y, Z).

    Returns
    -------
    Tensor
        Same shape, 0 to 4; the typical tissue of the head is 1.

    Examples
    --------
    >>> volume = torch.zeros(8, 8, 8)
    >>> volume[2:6, 2:6, 2:6] = 700.0
    >>> float(scale_intensities(volume).max())
    1.0
    """
    sample = volume.flatten()[:: max(1, volume.numel() // 100_000)]
    sample = sample.sort().values
    lowest = sample[len(sample) // 100]
    sample = sample - lowest
    head = sample[sample > sample.mean()]
    unit = head.median() if len(head) else torch.ones(())
    return ((volume - lowest) / unit.clamp(min=1e-6)).clamp(0, 4)
