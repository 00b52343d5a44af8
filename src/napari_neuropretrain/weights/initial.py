"""Start a network from pre-trained weights."""

from __future__ import annotations

from torch import nn

from napari_neuropretrain.progress import Report
from napari_neuropretrain.weights.coverage import THRESHOLD, Coverage


def load_initial_weights(
    network: nn.Module, source: str, report: Report, threshold: float = THRESHOLD
) -> Coverage:
    """Fill everything but the head of a network.

    Parameters
    ----------
    network
        A backbone; changed in place.
    source
        An imported file, a model file or run folder of ours (its head is dropped),
        or the name of known weights that were pulled.
    report
        Hears licence, intended preprocessing and coverage.
    threshold
        Smallest share of values and of tensors that must be filled.

    Raises
    ------
    CheckpointError
        If the source cannot be used or fills too little; the network is unchanged.
    """
    raise NotImplementedError
