"""The residual encoder of nnU-Net ("ResEnc"), pre-trained by OpenMind.

Isensee et al. (2024), "nnU-Net revisited"; Wald et al. (2024), "An OpenMind for 3D
medical vision self-supervised learning". Blocks are those of ResNet-D (He et al.
2019). Names are those of the released encoder, each tensor under one name.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from napari_neuropretrain.backbone import Encoded
from napari_neuropretrain.backbones.feature_maps import (
    check_edges,
    pool_map,
    run_stages,
)
from napari_neuropretrain.config.options.backbones import ResEncOptions

_SLOPE = 0.01


class _ConvNorm(nn.Module):
    """A convolution and an instance normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        padding, bias = kernel // 2, kernel > 1
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=bias)
        self.norm = nn.InstanceNorm3d(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x


class _Stem(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(_ConvNorm(1, channels, kernel=3, stride=1))

    def forward(self, volume: Tensor) -> Tensor:
        x = self.convs(volume)
        return nn.functional.leaky_relu(x, _SLOPE)


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(inputs, outputs, kernel=3, stride=stride)
        self.conv2 = _ConvNorm(outputs, outputs, kernel=3, stride=1)
        # The convolution rounds an odd edge up, so the shortcut has to as well.
        halve = nn.AvgPool3d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        self.skip = nn.Sequential(halve)
        if inputs != outputs:
            self.skip.append(_ConvNorm(inputs, outputs, kernel=1, stride=1))

    def forward(self, x: Tensor) -> Tensor:
        inner = nn.functional.leaky_relu(self.conv1(x), _SLOPE)
        return nn.functional.leaky_relu(self.conv2(inner) + self.skip(x), _SLOPE)


class _Stage(nn.Module):
    def __init__(self, inputs: int, outputs: int, blocks: int, stride: int) -> None:
        super().__init__()
        first = _Block(inputs, outputs, stride)
        others = [_Block(outputs, outputs, stride=1) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(first, *others)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        return x


class _Encoder(nn.Module):
    def __init__(self, options: ResEncOptions) -> None:
        super().__init__()
        widths = (options.channels[0], *options.channels)
        self.stem = _Stem(widths[0])
        self.stages = nn.Sequential(
            *(
                _Stage(*pair, blocks, stride=2 if number else 1)
                for number, (pair, blocks) in enumerate(
                    zip(pairwise(widths), options.blocks, strict=True)
                )
            )
        )

    def forward(self, volume: Tensor) -> Tensor:
        x: Tensor = self.stages(self.stem(volume))
        return x


class ResEnc(nn.Module):
    """A residual encoder with a linear head on the mean of its last map.

    Parameters
    ----------
    options
        Width and depth.
    out_features
        Outputs of the head.
    """

    head_name = "head"
    local_name = "encoder"
    patch_size = (1, 1, 1)

    def __init__(self, options: ResEncOptions, out_features: int = 1) -> None:
        super().__init__()
        stages = len(options.channels)
        self.encoder = _Encoder(options)
        self.feature_dim = options.channels[-1]
        self.head = nn.Linear(self.feature_dim, out_features)
        self.stages = (
            ("encoder.stem",),
            *((f"encoder.stages.{number}",) for number in range(stages)),
        )
        # Instance normalisation needs more than one voxel.
        self._smallest = 2 ** (stages - 1) + 1
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, volume: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of (B, 1, X, Y, Z)."""
        check_edges(volume, self._smallest, "ResEnc")
        return self.finish(self.encoder(volume))

    def finish(self, feature_map: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of the last map (B, C, x, y, z)."""
        outputs: Tensor = self.head(pool_map(feature_map).features)
        return outputs

    def encode(self, volume: Tensor) -> Encoded:
        """Return the mean and the voxels of the last feature map."""
        check_edges(volume, self._smallest, "ResEnc")
        return pool_map(self.encoder(volume))

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the map of the stem and of each stage."""
        check_edges(volume, self._smallest, "ResEnc")
        return run_stages(self, self.stages, volume)


def build_resenc(options: ResEncOptions, out_features: int = 1) -> ResEnc:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features)."""
    return ResEnc(options, out_features)
