"""Full fine-tuning: every parameter learns."""

from __future__ import annotations

from torch import nn

from napari_neuropretrain.config.options.tunings import FullTuningOptions
from napari_neuropretrain.tuning.plan import Plan
from napari_neuropretrain.tuning.stages import stage_groups


def tune_all(network: nn.Module, options: FullTuningOptions) -> Plan:
    """Train every parameter of a backbone.

    Parameters
    ----------
    network
        A backbone.
    options
        Rates and starts of the stages.
    """
    groups = stage_groups(network, 0, options.layer_decay, options.unfreeze_every)
    return Plan(network, groups)
