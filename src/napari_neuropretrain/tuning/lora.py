"""Train low-rank updates of the weights, and the head."""

from __future__ import annotations

from typing import cast

from torch import nn

from napari_neuropretrain.backbone import Backbone
from napari_neuropretrain.config.options.tunings import LoraTuningOptions
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.tuning.low_rank import add_update
from napari_neuropretrain.tuning.plan import Group, Plan

_SHOWN = 5


def tune_low_rank(network: nn.Module, options: LoraTuningOptions) -> Plan:
    """Give Linear and Conv3d layers low-rank updates; they and the head learn.

    Parameters
    ----------
    network
        A backbone; changed in place until the plan is finished.
    options
        Rank, strength, dropout and layers of the updates.

    Raises
    ------
    ConfigError
        If no layer has such a name.
    """
    head = network.get_submodule(cast(Backbone, network).head_name)
    layers = _layers(network, head, options.modules)
    norms = _norm_parameters(network, head) if options.norms else ()
    for layer in layers:
        add_update(layer, options.rank, options.alpha, options.dropout)
    updates = tuple(
        parameter for layer in layers for parameter in _update_parameters(layer)
    )
    groups = [Group("head", tuple(head.parameters()))]
    groups += [Group("low-rank updates", updates), Group("norms", norms)]
    return Plan(network, groups)


def _layers(
    network: nn.Module, head: nn.Module, wanted: tuple[str, ...]
) -> list[nn.Module]:
    """Return the layers outside the head that get an update."""
    inside = set(head.modules())
    able = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv3d) and module not in inside
    }
    chosen: list[nn.Module] = [
        module
        for name, module in able.items()
        if not wanted or any(part in name for part in wanted)
    ]
    if not chosen:
        some = ", ".join(list(able)[:_SHOWN])
        raise ConfigError(
            f"tuning: no Linear or Conv3d layer has {' or '.join(map(repr, wanted))} "
            f"in its name. Layers of this backbone: {some}, … ({len(able)} in all)."
        )
    return chosen


def _update_parameters(layer: nn.Module) -> tuple[nn.Parameter, ...]:
    return tuple(
        parameter
        for name, parameter in layer.named_parameters()
        if name.startswith("parametrizations.weight.0.")
    )


def _norm_parameters(network: nn.Module, head: nn.Module) -> tuple[nn.Parameter, ...]:
    inside = set(head.modules())
    kinds = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
    return tuple(
        parameter
        for module in network.modules()
        if isinstance(module, kinds) and module not in inside
        for parameter in module.parameters(recurse=False)
    )
