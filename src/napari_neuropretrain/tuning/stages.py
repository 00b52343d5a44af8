"""The parameters of a backbone, stage by stage."""

from __future__ import annotations

from typing import cast

from torch import nn

from napari_neuropretrain.backbone import Backbone, stage_of
from napari_neuropretrain.tuning.plan import Group


def stage_names(network: nn.Module) -> list[str]:
    """Return a name for each stage from input to output, and last the head's."""
    backbone = cast(Backbone, network)
    return [f"stage {number}" for number in range(len(backbone.stages))] + ["head"]


def parameters_by_stage(network: nn.Module) -> list[tuple[nn.Parameter, ...]]:
    """Return the parameters of each stage from input to output, and last the head's."""
    backbone = cast(Backbone, network)
    found: list[list[nn.Parameter]] = [[] for _ in range(len(backbone.stages) + 1)]
    for name, parameter in network.named_parameters():
        found[stage_of(backbone, name)].append(parameter)
    return [tuple(parameters) for parameters in found]


def stage_groups(
    network: nn.Module, first: int, layer_decay: float = 1.0, unfreeze_every: int = 0
) -> list[Group]:
    """Return the head and the stages from `first` on, the head first.

    Parameters
    ----------
    network
        A backbone.
    first
        First stage that learns, from 0 on; the number of stages means the head only.
    layer_decay
        A stage learns at this share of the rate of the one after it (Bao et al.
        2022, "BEiT").
    unfreeze_every
        Epochs between two stages that start to learn, the last one first (Howard
        and Ruder 2018, "Universal language model fine-tuning").
    """
    stages, names = parameters_by_stage(network), stage_names(network)
    return [
        Group(
            names[number],
            stages[number],
            rate=layer_decay**depth,
            epoch=unfreeze_every * depth,
        )
        for depth, number in enumerate(range(len(stages) - 1, first - 1, -1))
    ]
