"""Names and shapes against those of released weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from monai.networks.nets.densenet import DenseNet
from torch import nn

from napari_neuropretrain.backbones.densenet import build_densenet
from napari_neuropretrain.backbones.resenc import build_resenc
from napari_neuropretrain.backbones.sfcn import build_sfcn
from napari_neuropretrain.config.options.backbones import (
    DenseNetOptions,
    ResEncOptions,
    SfcnOptions,
)


def shapes(network: nn.Module) -> dict[str, list[int]]:
    return {key: list(value.shape) for key, value in network.state_dict().items()}


@pytest.fixture
def recorded(shared_data: Path) -> Path:
    return shared_data / "reference"


def test_sfcn(recorded: Path) -> None:
    released = json.loads((recorded / "sfcn_keys.json").read_text())
    with torch.device("meta"):
        network = build_sfcn(SfcnOptions(), out_features=40)
    own = {f"module.{key}": value for key, value in shapes(network).items()}
    assert own == released
    assert sum(one.numel() for one in network.parameters()) == 2_952_936


def test_resenc_l(recorded: Path) -> None:
    text = (recorded / "openmind_resenc_l_keys.json").read_text()
    released = {
        key: shape
        for key, shape in json.loads(text).items()
        if "all_modules" not in key
    }
    with torch.device("meta"):
        own = shapes(build_resenc(ResEncOptions()))
    assert own.pop("head.weight") == [1, 320]
    assert own.pop("head.bias") == [1]
    assert own == released


def test_resenc_shortcuts_round_odd_edges_like_its_convolutions() -> None:
    block = build_resenc(ResEncOptions(channels=(2, 3), blocks=(1, 1))).encoder.stages[
        1
    ]
    halve = block.blocks[0].skip[0]
    volume = torch.arange(5.0).view(1, 1, 5, 1, 1).expand(-1, -1, -1, 2, 2)
    assert halve(volume).flatten().tolist() == [0.5, 2.5, 4.0]


def test_densenet_is_monais(tmp_path: Path) -> None:
    torch.manual_seed(0)
    values = {"init_features": 6, "growth_rate": 4, "block_config": (2, 3, 2)}
    theirs = DenseNet(3, 1, 2, **values).eval()
    ours = build_densenet(DenseNetOptions(**values), 2).eval()
    ours.load_state_dict(theirs.state_dict())
    volume = torch.randn(2, 1, 40, 32, 48)
    with torch.inference_mode():
        assert torch.equal(ours(volume), theirs(volume))
        *_, last = ours.stage_maps(volume)
        expected = nn.functional.relu(theirs.features(volume))
    assert torch.equal(last, expected)
