"""Gradients, activations and attention of networks that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.attributions import RULES, attribution_map
from napari_neuropretrain.explanation.grad_cam import say_stage
from napari_neuropretrain.explanation.hiders import Predictor

EDGE = 16
TINY = {"init_features": 4, "growth_rate": 2, "block_config": [1, 1]}
VIT = {"hidden_size": 12, "mlp_dim": 16, "layers": 2, "heads": 3, "patch": 8}


def make_scan() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    brain = torch.zeros((EDGE,) * 3, dtype=torch.bool)
    brain[2:14, 2:14, 2:14] = True
    image = torch.randn((EDGE,) * 3, generator=generator) * brain
    return image, torch.where(brain, -0.5, image), brain


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn((EDGE,) * 3))

    def forward(self, volumes: Tensor) -> Tensor:
        return (volumes * self.weights).sum((1, 2, 3, 4))[:, None]


def years(outputs: Tensor) -> Tensor:
    return 60 + 12 * outputs


def build(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    entry = BACKBONES[name]
    return entry.load()(entry.options.parse(options), 1).eval()


@pytest.mark.parametrize("method", ["integrated_gradients", "smooth_grad"])
def test_a_linear_model_has_the_map_of_the_closed_form(method):
    image, hidden, brain = make_scan()
    torch.manual_seed(1)
    network = Linear()
    values = attribution_map(method, Predictor(network, years), image, hidden, brain)
    expected = 12 * (network.weights * (image - hidden)).detach().numpy()
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert values.dtype == np.float32


def test_integrated_gradients_add_up_to_the_difference():
    image, hidden, brain = make_scan()
    predict = Predictor(build("tiny_densenet", **TINY), years)
    values = attribution_map("integrated_gradients", predict, image, hidden, brain)
    with torch.no_grad():
        whole, none = predict(torch.stack([image, hidden])[:, None])
    difference = float(whole - none)
    assert abs(difference) > 0.01
    assert values.sum() == pytest.approx(difference, rel=0.05)


def test_grad_cam_is_the_weighted_sum_of_the_last_map():
    image, hidden, brain = make_scan()
    network = build("tiny_densenet", **TINY)
    values = attribution_map(
        "grad_cam", Predictor(network, years), image, hidden, brain, stage=3
    )
    with torch.no_grad():
        maps = network.stage_maps(image[None, None])[-1]
        weights = network.get_submodule(network.head_name).weight[0]
        # A mean and a linear layer: each channel's gradient is its weight by cells.
        cells = 12 * torch.einsum("c,cxyz->xyz", weights, maps[0]) / maps[0, 0].numel()
        fine = nn.functional.interpolate(
            cells[None, None], (EDGE,) * 3, mode="trilinear"
        )
    np.testing.assert_allclose(values, (fine[0, 0] * brain).numpy(), atol=1e-5)


def test_a_stage_has_the_gradients_of_what_follows():
    """By the definition, with the rest of the network written out."""
    image, hidden, brain = make_scan()
    network = build("tiny_densenet", **TINY)
    predict = Predictor(network, years)
    with torch.no_grad():
        first = network.stage_maps(image[None, None])[0]
    assert first.shape[2:] == (4, 4, 4)  # the deepest with 4: the second is alike
    maps = first.requires_grad_()
    x = maps
    for layer in list(network.features)[4:]:  # after conv, norm, relu and pool
        x = layer(x)
    (gradient,) = torch.autograd.grad(years(network.finish(x)).sum(), maps)
    cells = torch.einsum("c,cxyz->xyz", gradient.mean((2, 3, 4))[0], maps[0])
    fine = nn.functional.interpolate(
        cells[None, None], (EDGE,) * 3, mode="trilinear"
    ).detach()
    values = attribution_map("grad_cam", predict, image, hidden, brain, stage=1)
    np.testing.assert_allclose(values, (fine[0, 0] * brain).numpy(), atol=1e-5)


def test_the_deepest_map_with_enough_cells_is_taken():
    image, hidden, brain = make_scan()
    predict = Predictor(build("tiny_densenet", **TINY), years)
    said, wrong = say_stage(predict, image)
    assert (said, wrong) == ("Feature map 2 of 3, 4x4x4 cells.", "")
    chosen = attribution_map("grad_cam", predict, image, hidden, brain)
    named = attribution_map("grad_cam", predict, image, hidden, brain, stage=2)
    assert np.array_equal(chosen, named)
    said, wrong = say_stage(predict, image, 3)
    assert said == "Feature map 3 of 3, 2x2x2 cells."
    assert "no place can be read" in wrong
    with pytest.raises(
        ConfigError, match="4 was given, but this DenseNetBackbone has 3"
    ):
        attribution_map("grad_cam", predict, image, hidden, brain, stage=4)


CNNS: dict[str, dict[str, object]] = {
    "densenet121": TINY,
    "sfcn": {"channels": [4, 8, 6]},
    "resenc_l": {"channels": [4, 8, 8], "blocks": [1, 2, 1]},
}


@pytest.mark.parametrize("name", CNNS)
def test_grad_cam_is_for_every_cnn(name):
    image, hidden, brain = make_scan()
    predict = Predictor(build(name, **CNNS[name]), years)
    values = attribution_map("grad_cam", predict, image, hidden, brain)
    assert np.ptp(values[brain.numpy()]) > 0
    assert np.all(values[~brain.numpy()] == 0)


@pytest.mark.parametrize("pool", ["class", "mean", "first"])
def test_even_attention_is_shared_evenly(pool):
    image, hidden, brain = make_scan()
    network = build("vit_8m", **VIT, pool=pool, shape="16")
    predict = Predictor(network, years)
    values = attribution_map("attention_rollout", predict, image, hidden, brain)
    assert values[brain.numpy()].min() > 0
    assert values[brain.numpy()].mean() == pytest.approx(1 / 8, rel=0.5)
    with torch.no_grad():
        for block in network.blocks:
            block.attn.qkv.weight.zero_()
    values = attribution_map("attention_rollout", predict, image, hidden, brain)
    # Eight patches; the one that "first" reads keeps what went past the attention.
    if pool != "first":
        np.testing.assert_allclose(values[brain.numpy()], 1 / 8, rtol=1e-5)


def test_methods_that_do_not_fit_are_refused():
    image, hidden, brain = make_scan()
    vit = Predictor(build("vit_8m", **VIT, shape="16"), years)
    cnn = Predictor(build("tiny_densenet", **TINY), years)
    with pytest.raises(ConfigError, match=r"needs a CNN.*VisionTransformer"):
        attribution_map("grad_cam", vit, image, hidden, brain)
    with pytest.raises(ConfigError, match=r"needs a transformer.*DenseNet"):
        attribution_map("attention_rollout", cnn, image, hidden, brain)
    assert set(RULES) == {
        "integrated_gradients",
        "smooth_grad",
        "grad_cam",
        "attention_rollout",
    }
