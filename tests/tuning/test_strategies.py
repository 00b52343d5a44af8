"""What learns under each strategy, on every backbone of the catalog."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.config.catalog import BACKBONES, TUNINGS
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.tuning.plan import Plan

HEAD = {"classifier.weight", "classifier.bias"}
# Parameters of published layouts that no forward pass reads.
UNUSED = ("norm_cross_attn", "unused")


def tune(network: nn.Module, name: str, **options: Any) -> Plan:
    entry = TUNINGS[name]
    plan: Plan = entry.load()(network, entry.options.parse(options))
    return plan


def train(plan: Plan, volumes: Tensor, epochs: int = 3) -> None:
    rows = [
        {"params": group.parameters, "lr": 0.05 * group.rate} for group in plan.groups
    ]
    optimiser = torch.optim.AdamW(rows)
    for epoch in range(epochs):
        plan.begin(epoch)
        optimiser.zero_grad()
        (plan.network(volumes) - 1).square().mean().backward()
        optimiser.step()


def learning(network: nn.Module) -> set[str]:
    return {name for name, one in network.named_parameters() if one.requires_grad}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_top_leaves_every_byte_of_the_backbone(
    network: nn.Module, volumes: Tensor
) -> None:
    before = copy_of(network)
    plan = tune(network, "top")
    train(plan, volumes)
    assert plan.trainable == 7
    assert plan.total == sum(one.numel() for one in network.parameters())
    assert changed(before, network.state_dict()) == HEAD
    assert not any(one.training for one in network.block.modules())


def test_top_can_add_the_last_stage_later(network: nn.Module, volumes: Tensor) -> None:
    plan = tune(network, "top", last_stage_epoch=3, layer_decay=0.1)
    assert [group.rate for group in plan.groups] == [1.0, 0.1]
    before = copy_of(network)
    train(plan, volumes, epochs=2)
    assert changed(before, network.state_dict()) == HEAD
    train(plan, volumes, epochs=3)
    last = {"project.weight", "project.bias", "scale"}
    assert changed(before, network.state_dict()) == HEAD | last


def test_partial_trains_from_a_stage_on(network: nn.Module, volumes: Tensor) -> None:
    before = copy_of(network)
    plan = tune(network, "partial", from_stage=1)
    train(plan, volumes)
    names = {name.split(".")[0] for name in changed(before, network.state_dict())}
    assert names == {"block", "project", "scale", "classifier"}
    assert network.block.training
    assert not network.norm0.training
    same = tune(network, "partial", from_stage=-2)
    assert same.trainable == plan.trainable


def test_a_stage_that_is_not_there_is_named(network: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"from_stage is 3.*3 stages.*-3 to 2.*block"):
        tune(network, "partial", from_stage=3)


def test_rates_fall_and_starts_wait_from_the_head_on(network: nn.Module) -> None:
    plan = tune(network, "full", layer_decay=0.5, unfreeze_every=2)
    assert [group.name for group in plan.groups] == [
        "head",
        "stage 2",
        "stage 1",
        "stage 0",
    ]
    assert [group.rate for group in plan.groups] == [1, 0.5, 0.25, 0.125]
    counts = []
    for epoch in range(8):
        plan.begin(epoch)
        counts.append(len(learning(network)))
    assert counts == [2, 2, 5, 5, 9, 9, 13, 13]
    assert plan.last_start == 6
    assert plan.trainable == plan.total


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_low_rank_updates_merge_exactly(
    network: nn.Module, volumes: Tensor, dropout: float
) -> None:
    names, before = list(network.state_dict()), copy_of(network)
    plan = tune(network, "lora", rank=2, dropout=dropout)
    # conv0 (4 x 27), block.0 (4 x 54), project (6 x 4) and the head.
    assert plan.trainable == 2 * (4 + 27 + 4 + 54 + 6 + 4) + 7
    with torch.no_grad():
        network.eval()
        first = network(volumes)
    train(plan, volumes)
    network.eval()
    unmerged, weights = network(volumes), plan.plain_weights()
    plan.finish()
    assert set(network.state_dict()) == set(names)
    assert learning(network) == {name for name, _ in network.named_parameters()}
    assert not changed(weights, network.state_dict())
    merged = network(volumes)
    assert (merged - unmerged).abs().max() < 1e-5
    assert (merged - first).abs().max() > 1e-2
    moved = changed(before, network.state_dict())
    assert moved == HEAD | {"conv0.weight", "block.0.weight", "project.weight"}


def test_low_rank_updates_start_at_nothing_and_keep_statistics(
    network: nn.Module, volumes: Tensor
) -> None:
    network.eval()
    before, state = network(volumes), copy_of(network)
    plan = tune(network, "lora", rank=3)
    network.eval()
    assert torch.equal(network(volumes), before)
    plan.begin(0)
    assert not network.norm0.training
    network(volumes)
    assert torch.equal(network.norm0.running_mean, state["norm0.running_mean"])


def test_low_rank_updates_can_be_kept_to_some_layers(network: nn.Module) -> None:
    plan = tune(network, "lora", modules=["proj"], norms=True)
    plan.begin(0)
    names = {name for name in learning(network) if "parametrizations" in name}
    assert {name.split(".")[0] for name in names} == {"project"}
    assert {"norm0.weight", "block.1.bias"} <= learning(network)
    with pytest.raises(ConfigError, match=r"'attn'.*conv0.*3 in all"):
        tune(type(network)(), "lora", modules=["attn"])


@pytest.mark.parametrize("name", [entry.name for entry in TUNINGS])
def test_every_strategy_fits_every_backbone(toy_backbone: nn.Module, name: str) -> None:
    before, images = copy_of(toy_backbone), torch.randn(2, 1, 32, 32, 32)
    options = {"lora": {"rank": 2}, "partial": {"from_stage": -1}}.get(name, {})
    plan = tune(toy_backbone, name, **options)
    plan.begin(0)
    plan.network(images).square().sum().backward()
    for key, parameter in toy_backbone.named_parameters():
        if parameter.requires_grad and not any(one in key for one in UNUSED):
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
    head = toy_backbone.head_name + "."
    with torch.no_grad():
        for group in plan.groups:
            for parameter in group.parameters:
                parameter += 0.01 * torch.randn_like(parameter)
        toy_backbone.eval()
        unmerged = toy_backbone(images)
        plan.finish()
        assert (toy_backbone(images) - unmerged).abs().max() < 1e-5
    after = toy_backbone.state_dict()
    assert after.keys() == before.keys()
    moved = changed(before, after)
    if name == "top":
        assert {one for one in moved if not one.startswith(head)} == set()
    assert any(one.startswith(head) for one in moved)


@pytest.mark.parametrize(
    ("name", "modules", "count"),
    [
        ("densenet121", ["conv0", "conv1", "conv2"], 1_933_240),
        ("vit_8m", ["attn"], 103_680),
    ],
)
def test_low_rank_updates_have_as_many_numbers_as_pefts(
    name: str, modules: list[str], count: int
) -> None:
    entry = BACKBONES[name]
    with torch.device("meta"):
        network = entry.load()(entry.options())
        plan = tune(network, "lora", rank=8, modules=modules)
    head = network.get_submodule(network.head_name).parameters()
    assert plan.trainable - sum(one.numel() for one in head) == count
    assert plan.total == entry.facts["parameters"]
