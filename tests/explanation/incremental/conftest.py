"""Backbones of a few channels whose outputs depend on places."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from napari_neuropretrain.config.catalog import BACKBONES

_VIT = {"hidden_size": 12, "mlp_dim": 16, "layers": 2, "heads": 3, "patch": 16}
_NIT = {"dim": 16, "layers": 2, "heads": 2, "dim_head": 8, "mlp_dim": 12}
_DENSE = {"init_features": 4, "growth_rate": 2, "block_config": [2, 2]}
TOYS = {
    "densenet121": _DENSE,
    "tiny_densenet": _DENSE | {"block_config": [2, 1, 2]},
    "swin_t": {"embed_dim": 12, "depths": [2, 2], "heads": [2, 2]},
    "vit_8m": _VIT | {"shape": "32"},
    "vit_b16_6l": _VIT | {"pool": "mean", "shape": "32"},
    "vit_b16": _VIT | {"pool": "first", "shape": "32"},
    "nit": _NIT | {"patch": 8, "shape": "32"},
    "minit": _NIT | {"blocks": 2, "patches": 2, "shape": "32"},
    "sfcn": {"channels": [4, 8, 6]},
    "resenc_l": {"channels": [4, 8, 8], "blocks": [1, 2, 1]},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def toy_network() -> Callable[[str], nn.Module]:
    """``toy_network(name)`` builds one for volumes of 32^3, in evaluation mode."""

    def build(name: str) -> nn.Module:
        torch.manual_seed(0)
        entry = BACKBONES[name]
        network = entry.load()(entry.options.parse(TOYS[name]), 1)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                # Not the identity, or folding it would not be tested.
                nn.init.uniform_(module.running_mean, -0.3, 0.3)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.uniform_(module.bias, -0.3, 0.3)
            elif isinstance(module, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)  # or effects would fade away
        for parameter in network.get_submodule(network.head_name).parameters():
            nn.init.normal_(parameter, std=3)
        return network.eval()

    return build
