"""LARS against its definition, and the choice of an optimiser."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from napari_neuropretrain.training.module import LearningModule, Schedule
from napari_neuropretrain.training.optimisers import Lars, make_optimiser
from napari_neuropretrain.tuning.plan import Group, Plan


def test_lars_is_as_in_the_paper() -> None:
    """Two steps, written out with numbers of Python."""
    weights = nn.Parameter(torch.tensor([[3.0, 4.0]]))  # norm 5
    bias = nn.Parameter(torch.tensor([1.0]))
    groups = [
        {"params": [weights], "lr": 2.0, "weight_decay": 0.1},
        {"params": [bias], "lr": 2.0, "weight_decay": 0.0},
    ]
    optimiser = Lars(groups, 2.0, momentum=0.9, trust=0.01)
    before, velocity, offset, speed = [3.0, 4.0], [0.0, 0.0], 1.0, 0.0
    for gradient in ([1.0, -2.0], [0.5, 0.25]):
        weights.grad, bias.grad = torch.tensor([gradient]), torch.tensor([0.5])
        optimiser.step()
        change = [g + 0.1 * w for g, w in zip(gradient, before, strict=True)]
        norms = [sum(x * x for x in row) ** 0.5 for row in (before, change)]
        local = 0.01 * norms[0] / norms[1]
        velocity = [0.9 * v + local * c for v, c in zip(velocity, change, strict=True)]
        before = [w - 2.0 * v for w, v in zip(before, velocity, strict=True)]
        speed = 0.9 * speed + 0.5
        offset -= 2.0 * speed
        assert weights.tolist()[0] == pytest.approx(before, rel=1e-6)
        assert bias.item() == pytest.approx(offset, rel=1e-6)


def test_weights_of_zero_can_leave_it() -> None:
    weights = nn.Parameter(torch.zeros(2, 2))
    weights.grad = torch.ones(2, 2)
    Lars([{"params": [weights]}], lr=0.5).step()
    assert torch.equal(weights.detach(), torch.full((2, 2), -0.5))


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "lars"])
def test_each_goes_on_from_its_state(name: str) -> None:
    def begin() -> tuple[nn.Parameter, torch.optim.Optimizer]:
        weights = nn.Parameter(torch.ones(3, 2))
        groups = [{"params": [weights], "lr": 0.1, "weight_decay": 0.01}]
        return weights, make_optimiser(name, groups, 0.1, 0.9)

    def step(weights: nn.Parameter, optimiser: torch.optim.Optimizer) -> None:
        weights.grad = weights.detach().cos() + torch.arange(6.0).view(3, 2)
        optimiser.step()

    weights, optimiser = begin()
    step(weights, optimiser)
    again, other = begin()
    again.data.copy_(weights.data)
    other.load_state_dict(deepcopy(optimiser.state_dict()))
    for pair in ((weights, optimiser), (again, other)):
        step(*pair)
    assert torch.equal(weights, again)


def test_the_schedule_names_it() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    plan = Plan(network, [Group("all", tuple(network.parameters()))])
    schedule = Schedule(0.2, 0.1, 0, 10, optimiser="lars", momentum=0.8)
    made = LearningModule(plan, schedule).configure_optimizers()["optimizer"]
    assert isinstance(made, Lars)
    decays = [(one["weight_decay"], one["momentum"]) for one in made.param_groups]
    assert decays == [(0.1, 0.8), (0, 0.8)]
