"""The average of the weights, against its definition."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from napari_neuropretrain.training.average import AverageWeights
from napari_neuropretrain.tuning.plan import Group, Plan

TRAINER: Any = SimpleNamespace(num_training_batches=5, accumulate_grad_batches=2)


def module_of(network: nn.Module) -> Any:
    frozen = network[1].weight.requires_grad_(False)
    learning = tuple(one for one in network.parameters() if one is not frozen)
    return SimpleNamespace(network=network, plan=Plan(network, [Group("a", learning)]))


def test_it_is_the_exponential_mean_of_what_was() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    module, average = module_of(network), AverageWeights(network, 0.3)
    average.on_train_start(TRAINER, module)
    expected = network[0].weight.detach().clone()
    for batch in range(5):  # updates after the second, the fourth and the last one
        network[0].weight.data.normal_()
        average.on_train_batch_end(TRAINER, module, None, None, batch)
        if batch in (1, 3, 4):
            updates = {1: 1, 3: 2, 4: 3}[batch]
            decay = min(0.3, (1 + updates) / (10 + updates))
            expected = decay * expected + (1 - decay) * network[0].weight.detach()
    own = {name: one.clone() for name, one in network.state_dict().items()}
    average.on_validation_start(TRAINER, module)
    torch.testing.assert_close(network[0].weight.detach(), expected)
    network[1].running_mean.fill_(7)  # as statistics are measured anew
    average.on_train_epoch_end(TRAINER, module)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, own[name]), name
    again = AverageWeights(network, 0.3)
    again.restore(average.state())
    again.on_train_start(TRAINER, module)
    assert again.updates == 3
    assert "1.weight" not in again.state()["average"]  # frozen
    torch.testing.assert_close(again.state()["average"]["0.weight"], expected)


def test_off_it_does_nothing() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average, before = AverageWeights(network, 0.0), network[0].weight.clone()
    average.on_train_start(TRAINER, module_of(network))
    average.on_validation_start(TRAINER, None)
    assert torch.equal(network[0].weight, before)
    assert average.state() == {}
