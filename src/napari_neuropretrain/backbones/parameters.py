"""Count the parameters of a network."""

from __future__ import annotations

import torch
from torch import nn

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.registry import Entry


def count_parameters(network: nn.Module, trainable_only: bool = False) -> int:
    """Count the numbers a network learns.

    Examples
    --------
    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(
        parameter.numel()
        for parameter in network.parameters()
        if parameter.requires_grad or not trainable_only
    )


def parameter_count(name: str, out_features: int = 1) -> int:
    """Count the parameters of a catalog entry with its default options.

    Raises
    ------
    ConfigError
        If there is no such backbone.
    """
    entry: Entry = BACKBONES[name]
    # On the meta device no memory is taken and nothing is initialised.
    with torch.device("meta"):
        return count_parameters(entry.load()(entry.options(), out_features))
