"""Train the head alone, then perhaps the last stage."""

from __future__ import annotations

from typing import cast

from torch import nn

from napari_neuropretrain.backbone import Backbone
from napari_neuropretrain.config.options.tunings import TopTuningOptions
from napari_neuropretrain.tuning.plan import Plan
from napari_neuropretrain.tuning.stages import stage_groups


def tune_top(network: nn.Module, options: TopTuningOptions) -> Plan:
    """Train the head; nothing else changes, statistics included.

    Parameters
    ----------
    network
        A backbone.
    options
        Whether and when the last stage learns, too.
    """
    last = len(cast(Backbone, network).stages) - bool(options.last_stage_epoch)
    # People count epochs from 1 on.
    start = max(0, options.last_stage_epoch - 1)
    return Plan(network, stage_groups(network, last, options.layer_decay, start))
