"""DenseNet in 3D: every layer sees all earlier ones of its block.

Huang, Liu, van der Maaten and Weinberger (2017), "Densely connected convolutional
networks". The layers and their names are MONAI's.
"""

from __future__ import annotations

from monai.networks.nets.densenet import DenseNet
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.backbone import Encoded, Stage
from napari_neuropretrain.backbones.feature_maps import (
    check_edges,
    pool_map,
    run_stages,
)
from napari_neuropretrain.config.options.backbones import DenseNetOptions

_STEM = ("conv0", "norm0", "relu0", "pool0")


class DenseNetBackbone(nn.Module):
    """A DenseNet from volumes (B, 1, X, Y, Z) to outputs (B, out_features).

    Parameters
    ----------
    options
        Width and depth.
    out_features
        Outputs of the last linear layer.
    """

    head_name = "class_layers.out"
    local_name = "features"
    patch_size = (4, 4, 4)

    def __init__(self, options: DenseNetOptions, out_features: int = 1) -> None:
        super().__init__()
        layers = DenseNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=out_features,
            init_features=options.init_features,
            growth_rate=options.growth_rate,
            block_config=options.block_config,
            bn_size=options.bottleneck,
            dropout_prob=options.dropout,
        )
        self.features = layers.features
        self.class_layers = layers.class_layers
        weight, _ = layers.get_submodule(self.head_name).parameters()
        self.feature_dim = weight.shape[1]
        self.stages = _stages(len(options.block_config))
        # The stem divides the edges by four rounding up, each transition by two
        # rounding down.
        self._smallest = 2 ** (len(options.block_config) + 1) - 3

    def forward(self, volume: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of (B, 1, X, Y, Z)."""
        check_edges(volume, self._smallest, "DenseNet")
        return self.finish(self.features(volume))

    def finish(self, feature_map: Tensor) -> Tensor:
        """Return the outputs (B, out_features) of the last map (B, C, x, y, z)."""
        outputs: Tensor = self.class_layers(feature_map)
        return outputs

    def encode(self, volume: Tensor) -> Encoded:
        """Return the mean and the voxels of the last feature map."""
        check_edges(volume, self._smallest, "DenseNet")
        return pool_map(functional.relu(self.features(volume)))

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the maps of the stem and of each dense block."""
        check_edges(volume, self._smallest, "DenseNet")
        *earlier, last = run_stages(self, self.stages, volume)
        return [*earlier, functional.relu(last)]


def _stages(blocks: int) -> tuple[Stage, ...]:
    """Name the layers of each stage; a transition opens the stage after it."""
    names = [_STEM, ("denseblock1",)]
    names += [(f"transition{i - 1}", f"denseblock{i}") for i in range(2, blocks + 1)]
    names[-1] = (*names[-1], "norm5")  # MONAI's name, however many blocks there are
    return tuple(tuple(f"features.{name}" for name in stage) for stage in names)


def build_densenet(options: DenseNetOptions, out_features: int = 1) -> DenseNetBackbone:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features).

    Parameters
    ----------
    options
        Width and depth; the defaults of each catalog entry are the published ones.
    out_features
        Outputs of the last linear layer.
    """
    return DenseNetBackbone(options, out_features)
