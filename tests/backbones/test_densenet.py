"""Parameter counts of the papers, and shapes and gradients at toy size."""

from __future__ import annotations

import pytest
import torch

from napari_neuropretrain.backbones.densenet import build_densenet
from napari_neuropretrain.backbones.parameters import count_parameters, parameter_count
from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.options.backbones import DenseNetOptions
from napari_neuropretrain.errors import ConfigError

TOY = DenseNetOptions(init_features=4, growth_rate=4, block_config=(2, 2))


@pytest.mark.parametrize(
    ("name", "count"), [("densenet121", 11_243_649), ("tiny_densenet", 1_462_873)]
)
def test_parameter_counts_are_the_published_ones(name: str, count: int) -> None:
    assert parameter_count(name) == count
    facts = BACKBONES[name].facts
    assert facts.get("parameters", count) == count


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(ConfigError, match=r"densenet122.*densenet121"):
        parameter_count("densenet122")


@pytest.mark.parametrize("edge", [32, 40])
def test_forward_and_backward(edge: int) -> None:
    torch.manual_seed(0)
    network = build_densenet(TOY, out_features=3)
    outputs = network(torch.randn(2, 1, edge, edge, edge))
    assert outputs.shape == (2, 3)
    outputs.square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(one is not None and one.isfinite().all() for one in gradients)


def test_frozen_parameters_are_not_counted_as_trainable() -> None:
    network = build_densenet(TOY)
    head = list(network.parameters())[-2:]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for parameter in head:
        parameter.requires_grad_(True)
    expected = sum(parameter.numel() for parameter in head)
    assert count_parameters(network, trainable_only=True) == expected
    assert count_parameters(network) > expected
