"""Full fine-tuning: every parameter learns."""

from __future__ import annotations

from torch import nn

from napari_neuropretrain.config.options.tunings import FullTuningOptions


def tune_all(
    network: nn.Module, options: FullTuningOptions | None = None
) -> list[nn.Parameter]:
    """Make every parameter trainable and return them all.

    Parameters
    ----------
    network
        Changed in place.
    options
        Nothing to choose; there so that all strategies are called alike.
    """
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters
