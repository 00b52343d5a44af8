"""Train the later stages; the first ones stay as they are."""

from __future__ import annotations

from typing import cast

from torch import nn

from napari_neuropretrain.backbone import Backbone
from napari_neuropretrain.config.options.tunings import PartialTuningOptions
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.tuning.plan import Plan
from napari_neuropretrain.tuning.stages import stage_groups


def tune_from_stage(network: nn.Module, options: PartialTuningOptions) -> Plan:
    """Train the head and the stages from `options.from_stage` on.

    Parameters
    ----------
    network
        A backbone.
    options
        The first stage that learns; rates and starts of the stages.

    Raises
    ------
    ConfigError
        If the network has no such stage.
    """
    stages = cast(Backbone, network).stages
    first = options.from_stage
    if not -len(stages) <= first < len(stages):
        listed = "; ".join(f"{i}: {', '.join(names)}" for i, names in enumerate(stages))
        raise ConfigError(
            f"tuning: from_stage is {first}, but this backbone has {len(stages)} "
            f"stages. Give {-len(stages)} to {len(stages) - 1} ({listed})."
        )
    groups = stage_groups(
        network, first % len(stages), options.layer_decay, options.unfreeze_every
    )
    return Plan(network, groups)
