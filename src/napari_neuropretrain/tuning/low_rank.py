"""Low-rank updates of weights, and how they are merged.

Hu et al. (2022), "LoRA: low-rank adaptation of large language models". The update is
a parametrisation of the weight and not a second branch of the layer: it then also
works in layers that read the weight themselves, such as window attention, needs no
second set of 3D feature maps, and merging is exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize


class LowRankUpdate(nn.Module):
    """Add `alpha / rank` times B A to a weight; zero at first.

    Parameters
    ----------
    weight
        Of a Linear (out, in) or a Conv3d (out, in, x, y, z).
    rank
        Rows of A and columns of B; at most what the weight's shape allows.
    alpha
        Strength.
    dropout
        Share of the columns of A (inputs of the layer) left out in a step; the same
        ones for all volumes of the batch.
    """

    def __init__(
        self, weight: Tensor, rank: int, alpha: float, dropout: float = 0.0
    ) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(rank, rows, columns)
        self.scale = alpha / rank
        self.dropout = dropout
        self.a = nn.Parameter(weight.new_empty(rank, columns))
        self.b = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the updated weight, of the same shape."""
        a: Tensor = self.a
        if self.training and self.dropout:
            a = a * functional.dropout(torch.ones_like(a[:1]), self.dropout)
        return weight + self.scale * (self.b @ a).reshape(weight.shape)


def add_update(layer: nn.Module, rank: int, alpha: float, dropout: float) -> None:
    """Give the weight of a layer a low-rank update."""
    weight = layer.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(layer).__name__} has no weight to update")
    update = LowRankUpdate(weight.detach(), rank, alpha, dropout)
    parametrize.register_parametrization(layer, "weight", update)


def updated_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with a low-rank update, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if _update_of(module) is not None
    }


def plain_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the state as it will be after merging; the network is not changed."""
    state = dict(network.state_dict())
    for name, layer in updated_layers(network).items():
        lead = f"{name}." if name else ""
        inside = f"{lead}parametrizations.weight."
        for key in [key for key in state if key.startswith(inside)]:
            del state[key]
        state[f"{lead}weight"] = _merged(layer)
    return state


def merge_updates(network: nn.Module) -> None:
    """Replace each updated weight by its value, and drop the update."""
    for layer in updated_layers(network).values():
        layer.eval()  # no dropout
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _update_of(module: nn.Module) -> LowRankUpdate | None:
    if not parametrize.is_parametrized(module, "weight"):
        return None
    last = module.parametrizations.weight[-1]  # type: ignore[union-attr, index]
    return last if isinstance(last, LowRankUpdate) else None


@torch.no_grad()
def _merged(layer: nn.Module) -> Tensor:
    update = _update_of(layer)
    training = update is not None and update.training
    if update is not None:
        update.eval()
    weight = layer.weight
    if update is not None:
        update.train(training)
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(layer).__name__} has no weight")
    return weight.detach()
