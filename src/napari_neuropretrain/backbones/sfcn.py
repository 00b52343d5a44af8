"""SFCN, the Simple Fully Convolutional Network for brain age.

Peng, Gong, Beckmann, Vedaldi and Smith (2021), "Accurate brain age prediction with
lightweight deep neural networks". Names are those of its released weights.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn

from napari_neuropretrain.backbone import Encoded
from napari_neuropretrain.backbones.feature_maps import (
    check_edges,
    pool_map,
    run_stages,
)
from napari_neuropretrain.config.options.backbones import SfcnOptions


class Sfcn(nn.Module):
    """SFCN from volumes (B, 1, X, Y, Z) to outputs (B, out_features).

    The original averages over windows of 5x6x5 cells, which at its 160x192x160 voxels
    is the whole map; here it is the whole map at any shape.

    Parameters
    ----------
    options
        Channels and dropout.
    out_features
        Outputs; 40 age bins in the original, before its softmax.
    """

    local_name = "feature_extractor"
    patch_size = (2, 2, 2)

    def __init__(self, options: SfcnOptions, out_features: int = 1) -> None:
        super().__init__()
        channels = options.channels
        last = len(channels) - 1
        self.feature_extractor = nn.Sequential(
            OrderedDict(
                (f"conv_{i}", _last_layer(*pair) if i == last else _layer(*pair))
                for i, pair in enumerate(pairwise((1, *channels)))
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                average_pool=nn.AdaptiveAvgPool3d(1),
                dropout=nn.Dropout(options.dropout),
            )
        )
        name = f"conv_{len(channels)}"
        self.classifier.add_module(name, nn.Conv3d(channels[-1], out_features, 1))
        self.head_name = f"classifier.{name}"
        self.feature_dim = channels[-1]
        self.stages = tuple((f"feature_extractor.conv_{i}",) for i in range(last + 1))
        self._smallest = 2**last

    def forward(self, volume: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of (B, 1, X, Y, Z)."""
        check_edges(volume, self._smallest, "SFCN")
        return self.finish(self.feature_extractor(volume))

    def finish(self, feature_map: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of the last map (B, C, x, y, z)."""
        outputs: Tensor = self.classifier(feature_map)
        return outputs.flatten(1)  # (B, out_features, 1, 1, 1) -> (B, out_features)

    def encode(self, volume: Tensor) -> Encoded:
        """Return the mean and the voxels of the last feature map."""
        check_edges(volume, self._smallest, "SFCN")
        return pool_map(self.feature_extractor(volume))

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the map of each layer."""
        check_edges(volume, self._smallest, "SFCN")
        return run_stages(self, self.stages, volume)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm3d(outputs),
        nn.MaxPool3d(2),
        nn.ReLU(),
    )


def _last_layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel_size=1), nn.BatchNorm3d(outputs), nn.ReLU()
    )


def build_sfcn(options: SfcnOptions, out_features: int = 1) -> Sfcn:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features)."""
    return Sfcn(options, out_features)
