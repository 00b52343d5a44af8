"""Our maps beside those of MONAI and Captum, with the same settings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from monai.visualize import OcclusionSensitivity
from torch import Tensor

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import occlusion_map

EDGE, PATCH, STRIDE = 24, 6, 3
TOY = {"init_features": 4, "growth_rate": 2, "block_config": [1, 1]}


@pytest.fixture
def scan() -> Tensor:
    return torch.randn((EDGE,) * 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> torch.nn.Module:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    entry = BACKBONES["tiny_densenet"]
    return entry.load()(entry.options.parse(TOY), 1).eval()


def ours(network: torch.nn.Module, scan: Tensor) -> np.ndarray:
    brain = torch.ones_like(scan, dtype=torch.bool)
    predict = Predictor(network, lambda outputs: outputs)
    result = occlusion_map(predict, scan, brain, PATCH, STRIDE)
    assert result.slow_because == ""
    assert np.abs(result.map).max() > 1e-3
    return result.map


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # MONAI's
def test_the_map_is_that_of_monai(network, scan):
    occlude = OcclusionSensitivity(
        network, PATCH, mode=0.0, overlap=0.5, activate=False, verbose=False
    )
    with torch.inference_mode():
        outputs, _ = occlude(scan[None, None])
        reference = float(network(scan[None, None]))
    theirs = reference - torch.as_tensor(outputs).reshape(scan.shape).numpy()
    np.testing.assert_allclose(ours(network, scan), theirs, atol=1e-5)


def test_the_map_is_that_of_captum(network, scan):
    with torch.inference_mode():
        theirs = Occlusion(network).attribute(
            scan[None, None],
            (1, PATCH, PATCH, PATCH),
            (1, STRIDE, STRIDE, STRIDE),
            baselines=0.0,
            target=0,
            perturbations_per_eval=16,
        )
    np.testing.assert_allclose(ours(network, scan), theirs[0, 0].numpy(), atol=1e-5)
