"""Checks of maps whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.explanation.checking import Checked, run_checks
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map
from napari_neuropretrain.explanation.trust import (
    SHARES,
    delete_strongest,
    doubts,
    randomised,
)
from napari_neuropretrain.progress import silent

EDGE = 16


def make_scan() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    brain = torch.zeros((EDGE,) * 3, dtype=torch.bool)
    brain[2:14, 2:14, 2:14] = True
    return (1 + torch.rand((EDGE,) * 3, generator=generator)) * brain, brain


class Weighted(nn.Module):
    """Adds up a block; its weights are what a shuffle can destroy."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.zeros((EDGE,) * 3)
        weights[4:8, 4:8, 4:8] = 1.0
        self.weights = nn.Parameter(weights)

    def forward(self, volumes: Tensor) -> Tensor:
        return (volumes * self.weights).sum((1, 2, 3, 4))[:, None]


class Bright(nn.Module):
    """Looks at brightness alone: there is nothing to shuffle."""

    def forward(self, volumes: Tensor) -> Tensor:
        return volumes.sum((1, 2, 3, 4))[:, None]


def as_it_is(outputs: Tensor) -> Tensor:
    return outputs


def check(network: nn.Module, image: Tensor, brain: Tensor) -> tuple[dict, np.ndarray]:
    predict = Predictor(network, as_it_is)
    effects = occlusion_map(predict, image, brain, 4, 2).map
    made = Checked(predict, image, brain, 4, "mean", Manner(), effects)
    return run_checks(made, silent)


def test_a_map_of_what_was_learned_passes():
    image, brain = make_scan()
    found, random = check(Weighted(), image, brain)
    assert found["doubts"] == []
    assert abs(found["randomised_network"]["correlation"]) < 0.3
    assert [one["patch"] for one in found["patch_sizes"]] == [6, 8]
    assert found["patch_sizes"][0]["correlation"] > 0.5
    assert found["deletion"]["beaten"] == 1
    assert found["outside_share"] == 0
    assert random.shape == brain.shape


def test_a_map_of_the_scan_alone_is_doubted():
    image, brain = make_scan()
    image[8:] *= 3  # so that the map has a form
    found, _ = check(Bright(), image, brain)
    assert found["randomised_network"]["correlation"] > 0.9
    assert "shows the scan, not what was learned" in found["doubts"][0]


def test_effects_outside_the_brain_are_found():
    image, brain = make_scan()
    image[~brain] = 1.0  # a scan that was not stripped
    network = Weighted()
    with torch.no_grad():
        network.weights.zero_()
        network.weights[0, :, :] = 1.0
        network.weights[5, 5, 5] = 1.0
    found, _ = check(network, image, brain)
    assert found["outside_share"] > 0.9
    assert any("outside the brain" in one for one in found["doubts"])


def test_the_deletion_curve_is_counted_by_hand():
    image, brain = make_scan()
    network = Weighted().eval()
    strength = network.weights.detach().numpy() * image.numpy()
    predict = Predictor(network, as_it_is)
    hidden = torch.zeros_like(image)
    curve = delete_strongest(predict, image, hidden, brain.numpy(), strength)
    ranked = np.sort(strength[brain.numpy()])[::-1]
    whole = ranked.sum()
    expected = [whole - ranked[: round(s * ranked.size)].sum() for s in SHARES]
    np.testing.assert_allclose(curve.outputs, expected, rtol=1e-5, atol=1e-3)
    change = np.mean([whole - one for one in expected])
    assert curve.change == pytest.approx(change, rel=1e-5)
    assert curve.random_change < curve.change
    assert curve.beaten == 1


def test_a_map_of_the_wrong_place_loses():
    image, brain = make_scan()
    wrong = np.zeros((EDGE,) * 3, dtype=np.float32)
    wrong[10:14, 10:14, 10:14] = 1.0
    curve = delete_strongest(
        Predictor(Weighted().eval(), as_it_is),
        image,
        torch.zeros_like(image),
        brain.numpy(),
        wrong,
        rounds=9,
    )
    assert curve.beaten < 1
    checks = {
        "randomised_network": {"correlation": 0.0},
        "deletion": curve.to_json(),
        "outside_share": 0.0,
    }
    assert "no more than hiding others" in doubts(checks)[0]


def test_shuffling_keeps_the_numbers_and_the_original():
    network = nn.Conv3d(2, 3, 3)
    before = network.weight.detach().clone()
    random = randomised(network)
    assert torch.equal(network.weight, before)
    assert not torch.equal(random.weight, before)
    torch.testing.assert_close(
        random.weight.flatten().sort().values, before.flatten().sort().values
    )
