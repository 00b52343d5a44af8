"""Barlow Twins: each output agrees with itself across views, and with no other.

Zbontar, Jing, Misra, LeCun and Deny (2021), "Barlow Twins: self-supervised learning
via redundancy reduction", equations 1 and 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.options.methods import BarlowTwinsOptions
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.gather import gather_ranks
from napari_neuropretrain.methods.heads import TwoViewMethod
from napari_neuropretrain.methods.precision import in_float32

_EPSILON = 1e-5


class BarlowTwins(TwoViewMethod):
    """Pre-train a backbone by Barlow Twins.

    Parameters
    ----------
    options
        Weight of the redundancy term, and the projector.
    backbone
        The network.
    """

    def __init__(self, options: BarlowTwinsOptions, backbone: nn.Module) -> None:
        super().__init__(backbone, options.projector, batch_norm=True)
        self.redundancy_weight = options.redundancy_weight

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss`` and its two parts before they are weighted."""
        first, second = map(gather_ranks, self.embed_views(batch))
        parts = barlow_parts(first, second)
        loss = parts["invariance"] + self.redundancy_weight * parts["redundancy"]
        return {"loss": loss, **parts}


@in_float32
def barlow_parts(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Return both parts of the loss of embeddings (B, D) of two views.

    Outputs are standardised over the batch by their biased deviation, as the batch
    normalisation of the published code does; with the product over B, the
    correlation of an output with itself is then exactly 1.

    Returns
    -------
    dict
        ``invariance``: how far the correlation of each output with itself in the
        other view is from 1, squared and summed. ``redundancy``: squared
        correlations of different outputs, summed.
    """
    correlations = _standardise(first).T @ _standardise(second) / len(first)
    itself = torch.eye(len(correlations), dtype=torch.bool, device=first.device)
    return {
        "invariance": (correlations.diagonal() - 1).square().sum(),
        "redundancy": correlations.masked_fill(itself, 0).square().sum(),
    }


def _standardise(embeddings: Tensor) -> Tensor:
    centred = embeddings - embeddings.mean(dim=0)
    variance = centred.square().mean(dim=0)
    return centred / (variance + _EPSILON).sqrt()
