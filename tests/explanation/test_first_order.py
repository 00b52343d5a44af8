"""Gradients as effects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.explanation.adaptive import Refinement
from napari_neuropretrain.explanation.first_order import first_order_effects
from napari_neuropretrain.explanation.hiders import Predictor
from napari_neuropretrain.explanation.occlusion import Manner, occlusion_map

SHAPE = (12, 11, 10)


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn(SHAPE, generator=draw))

    def forward(self, volumes: Tensor) -> Tensor:
        return (volumes * self.weights).sum((1, 2, 3, 4))[:, None]


def make_pair() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(SHAPE, generator=draw), torch.randn(SHAPE, generator=draw)


def test_of_a_linear_network_they_are_the_effects():
    network = Linear()
    image, hidden = make_pair()
    predict = Predictor(network, lambda outputs: 60 + 12 * outputs)
    with torch.inference_mode():  # as in a job
        found = first_order_effects(predict, image, hidden)
    expected = 12 * network.weights.detach() * (image - hidden)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)
    assert network.weights.grad is None


def test_of_a_probability_they_are_its_slope():
    network = Linear()
    image, hidden = make_pair()
    found = first_order_effects(Predictor(network, torch.sigmoid), image, hidden)
    with torch.no_grad():
        sure = torch.sigmoid(network(image[None, None]))[0, 0]
        slope = sure * (1 - sure) * network.weights * (image - hidden)
    np.testing.assert_allclose(found, slope.numpy(), rtol=1e-3, atol=1e-7)


def test_without_a_gradient_there_are_none():
    image, hidden = make_pair()
    step = Predictor(Linear(), lambda outputs: (outputs > 0).double())
    assert first_order_effects(step, image, hidden) is None
    assert first_order_effects(lambda volumes: volumes, image, hidden) is None


@pytest.mark.parametrize("baseline", ["mean", "black", "blurred", "mirror"])
def test_the_map_of_a_linear_network_needs_few_positions(baseline):
    image, _ = make_pair()
    brain = torch.ones(SHAPE, dtype=torch.bool)
    predict = Predictor(Linear(), lambda outputs: outputs)
    settings = (image, brain, 3, 1, baseline)
    full = occlusion_map(predict, *settings)
    few = occlusion_map(predict, *settings, manner=Manner("mean", Refinement(0.999)))
    assert few.computed < 0.3 * full.computed
    assert few.correlation > 0.999
    np.testing.assert_allclose(few.map, full.map, atol=1e-3 * np.abs(full.map).max())
