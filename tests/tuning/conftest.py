"""A small backbone with everything that tuning must take care of."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.backbone import Encoded
from napari_neuropretrain.config.catalog import BACKBONES


class SmallBackbone(nn.Module):
    """Two convolutional stages with batch normalisation, one linear, and a head."""

    feature_dim = 6
    stages = (("conv0", "norm0"), ("block",), ("project", "scale"))
    head_name = "classifier"
    patch_size = (1, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv3d(1, 4, 3, padding=1)
        self.norm0 = nn.BatchNorm3d(4)
        self.block = nn.Sequential(
            nn.Conv3d(4, 4, 3, padding=1, groups=2), nn.BatchNorm3d(4), nn.Dropout(0.3)
        )
        self.project = nn.Linear(4, 6)
        self.scale = nn.Parameter(torch.ones(6))
        self.classifier = nn.Linear(6, 1)

    def encode(self, volume: Tensor) -> Encoded:
        maps = self.block(self.norm0(self.conv0(volume)).relu())
        features = self.project(maps.mean((2, 3, 4))).relu() * self.scale
        return Encoded(features, features[:, None], (1, 1, 1))

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        return []

    def forward(self, volume: Tensor) -> Tensor:
        return self.classifier(self.encode(volume).features)


@pytest.fixture
def network() -> nn.Module:
    """A small backbone with weights that no initialisation gives."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    built = SmallBackbone()
    for parameter in built.parameters():
        nn.init.normal_(parameter, std=0.3)
    return built


@pytest.fixture
def volumes() -> Tensor:
    """Four volumes of 6^3."""
    return torch.randn(4, 1, 6, 6, 6, generator=torch.Generator().manual_seed(1))


TOYS: dict[str, dict[str, Any]] = runpy.run_path(
    str(Path(__file__).parents[1] / "backbones" / "conftest.py")
)["TOYS"]


@pytest.fixture(params=[entry.name for entry in BACKBONES])
def toy_backbone(request: pytest.FixtureRequest) -> nn.Module:
    """Each backbone of the catalog, small, for volumes of 32^3."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    entry = BACKBONES[request.param]
    built: nn.Module = entry.load()(entry.options.parse(TOYS[request.param]))
    return built
