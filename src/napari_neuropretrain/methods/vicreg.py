"""VICReg: views agree, no output is constant, and no two say the same.

Bardes, Ponce and LeCun (2022), "VICReg: variance-invariance-covariance
regularization for self-supervised learning", equations 1 to 6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.config.options.methods import VicRegOptions
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.gather import gather_ranks
from napari_neuropretrain.methods.heads import TwoViewMethod
from napari_neuropretrain.methods.precision import in_float32

_EPSILON = 1e-4


class VicReg(TwoViewMethod):
    """Pre-train a backbone by VICReg.

    Parameters
    ----------
    options
        Weights of the three parts, and the expander.
    backbone
        The network.
    """

    def __init__(self, options: VicRegOptions, backbone: nn.Module) -> None:
        super().__init__(backbone, options.projector, batch_norm=True)
        self.options = options

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss`` and its parts before they are weighted."""
        first, second = map(gather_ranks, self.embed_views(batch))
        parts = vicreg_parts(first, second)
        weights = (self.options.invariance, self.options.variance)
        loss = weights[0] * parts["invariance"] + weights[1] * parts["variance"]
        return {"loss": loss + self.options.covariance * parts["covariance"], **parts}


@in_float32
def vicreg_parts(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Return the three parts of the loss of embeddings (B, D) of two views.

    As in the published code, the variance is the mean of both views and the
    covariance the sum.

    Returns
    -------
    dict
        ``invariance``: mean squared difference. ``variance``: how far the standard
        deviation of each output stays under 1. ``covariance``: squared covariances
        of different outputs, over D.
    """
    return {
        "invariance": functional.mse_loss(first, second),
        "variance": (_hinge(first) + _hinge(second)) / 2,
        "covariance": _covariance(first) + _covariance(second),
    }


def _hinge(embeddings: Tensor) -> Tensor:
    deviations = (embeddings.var(dim=0) + _EPSILON).sqrt()
    return functional.relu(1 - deviations).mean()


def _covariance(embeddings: Tensor) -> Tensor:
    count, width = embeddings.shape
    centred = embeddings - embeddings.mean(dim=0)
    covariances = centred.T @ centred / (count - 1)
    itself = torch.eye(width, dtype=torch.bool, device=embeddings.device)
    return covariances.masked_fill(itself, 0).square().sum() / width
