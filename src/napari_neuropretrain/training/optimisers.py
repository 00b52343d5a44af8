"""Which optimiser moves the weights: AdamW, Adam, SGD with momentum, or LARS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

OptimiserName: TypeAlias = Literal["adamw", "adam", "sgd", "lars"]


def make_optimiser(
    name: OptimiserName, groups: list[dict[str, Any]], rate: float, momentum: float
) -> Optimizer:
    """Return the optimiser of that name.

    Parameters
    ----------
    name
        adamw, adam (whose decay is part of the gradient), sgd (with Nesterov's
        momentum) or lars.
    groups
        Of parameters, each with ``lr`` and ``weight_decay``.
    rate
        Learning rate of groups without one.
    momentum
        Of sgd and lars.
    """
    if name == "sgd":
        return SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0)
    if name == "lars":
        return Lars(groups, rate, momentum)
    if name == "adam":
        return Adam(groups, lr=rate)
    return AdamW(groups, lr=rate)


class Lars(Optimizer):
    """Layer-wise adaptive rate scaling, for large batches.

    You, Gitman and Ginsburg (2017), "Large batch training of convolutional
    networks", algorithm 1; as VICReg and Barlow Twins use it: biases and
    normalisation (tensors of one dimension) are moved by plain momentum.

    Parameters
    ----------
    groups
        Of parameters, each may have ``lr`` and ``weight_decay``.
    lr
        Learning rate of groups without one.
    momentum
        Share of the step before that is kept.
    trust
        Norm of a layer's change, as a share of the norm of its weights, at a
        learning rate of 1.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        trust: float = 1e-3,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "trust": trust, "weight_decay": 0.0}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the weights; return what the closure does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is not None:
                    self._move(weights, weights.grad, group)
        return loss

    def _move(self, weights: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        change = gradient.add(weights, alpha=group["weight_decay"])
        if weights.ndim > 1:
            change *= scale_of(weights, change, group["trust"])
        state = self.state[weights]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weights)
        velocity = state["velocity"].mul_(group["momentum"]).add_(change)
        weights.add_(velocity, alpha=-group["lr"])


def scale_of(weights: Tensor, change: Tensor, trust: float) -> Tensor:
    """Return trust * |weights| / |change|, or 1 where one of them is 0.

    Examples
    --------
    >>> scale_of(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.5]), 0.001)
    tensor(0.0100)
    """
    size, step = weights.norm(), change.norm()
    scale = trust * size / step
    return torch.where((size > 0) & (step > 0), scale, torch.ones_like(scale))
