"""Toy networks for the methods."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import BACKBONES

_DENSE = {"init_features": 4, "growth_rate": 4, "block_config": [2, 2]}
_VIT = {"hidden_size": 24, "mlp_dim": 32, "layers": 2, "heads": 3, "patch": 8}
_NIT = {"dim": 16, "layers": 2, "heads": 2, "dim_head": 6, "mlp_dim": 20}
TOYS = {
    "densenet121": _DENSE,
    "tiny_densenet": _DENSE,
    "swin_t": {
        "embed_dim": 8,
        "depths": [2, 2],
        "heads": [2, 4],
        "window": [4, 3, 3],
        "mlp_ratio": 2,
    },
    "vit_8m": _VIT | {"shape": "32"},
    "vit_b16_6l": _VIT | {"shape": "32"},
    "vit_b16": _VIT | {"shape": "32"},
    "nit": _NIT | {"patch": 8, "shape": "32"},
    "minit": _NIT | {"blocks": 2, "patches": 2, "shape": "32"},
    "sfcn": {"channels": [4, 8, 6]},
    "resenc_l": {"channels": [4, 8, 8], "blocks": [1, 2, 1]},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def toy_options() -> Callable[[str], Config]:
    """``toy_options(name)`` gives small options of an entry, for volumes of 32^3."""
    return lambda name: BACKBONES[name].options.parse(TOYS[name])


@pytest.fixture
def toy_network(toy_options: Callable[[str], Config]) -> Callable[..., nn.Module]:
    """``toy_network(name, out_features=1)`` builds it, with the same weights always."""

    def build(name: str, out_features: int = 1) -> nn.Module:
        torch.manual_seed(0)
        return BACKBONES[name].load()(toy_options(name), out_features)

    return build
