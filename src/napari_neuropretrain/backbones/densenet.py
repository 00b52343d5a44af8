"""DenseNet in 3D: every layer sees all earlier ones of its block.

Huang, Liu, van der Maaten and Weinberger (2017), "Densely connected convolutional
networks". The layers are MONAI's.
"""

from __future__ import annotations

from monai.networks.nets.densenet import DenseNet
from torch import nn

from napari_neuropretrain.config.options.backbones import DenseNetOptions


def build_densenet(options: DenseNetOptions, out_features: int = 1) -> nn.Module:
    """Build a network from volumes (B, 1, X, Y, Z) to outputs (B, out_features).

    Parameters
    ----------
    options
        Width and depth; the defaults of each catalog entry are the published ones.
    out_features
        Outputs of the last linear layer.
    """
    return DenseNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=out_features,
        init_features=options.init_features,
        growth_rate=options.growth_rate,
        block_config=options.block_config,
        bn_size=options.bottleneck,
        dropout_prob=options.dropout,
    )
