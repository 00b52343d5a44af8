"""SimCLR: two views of one volume should be nearer to each other than to others.

Chen, Kornblith, Norouzi and Hinton (2020), "A simple framework for contrastive
learning of visual representations", equation 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.config.options.methods import SimClrOptions
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.gather import gather_ranks
from napari_neuropretrain.methods.heads import TwoViewMethod
from napari_neuropretrain.methods.precision import in_float32


class SimClr(TwoViewMethod):
    """Pre-train a backbone by NT-Xent.

    Parameters
    ----------
    options
        Temperature and projector.
    backbone
        The network.
    """

    def __init__(self, options: SimClrOptions, backbone: nn.Module) -> None:
        super().__init__(backbone, options.projector)
        self.temperature = options.temperature

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss``, and the share of views whose nearest is their partner."""
        first, second = map(gather_ranks, self.embed_views(batch))
        loss = nt_xent(first, second, self.temperature)
        return {"loss": loss, "accuracy": pairing_accuracy(first, second)}


@in_float32
def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalised, temperature-scaled cross-entropy of 2B views.

    By log-sum-exp in float32: no temperature overflows.

    Parameters
    ----------
    first, second
        Embeddings (B, D) of two views of the same volumes.
    temperature
        Of the cosine similarities.

    Examples
    --------
    >>> round(nt_xent(torch.eye(2), torch.eye(2), 1.0).item(), 4)  # log(1 + 2/e)
    0.5514
    """
    count = len(first)
    scores = similarities(first, second, temperature)
    partners = torch.arange(2 * count, device=scores.device).roll(count)
    return functional.cross_entropy(scores, partners)


def similarities(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return cosines over the temperature of all 2B views, (2B, 2B).

    A view with itself has minus infinity.
    """
    views = functional.normalize(torch.cat((first, second)), dim=1)
    scores = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    return scores.masked_fill(itself, -torch.inf)


@torch.no_grad()
def pairing_accuracy(first: Tensor, second: Tensor) -> Tensor:
    """Return the share of the 2B views whose nearest other view is their partner."""
    count = len(first)
    nearest = similarities(first.float(), second.float(), 1.0).argmax(dim=1)
    partners = torch.arange(2 * count, device=nearest.device).roll(count)
    return (nearest == partners).float().mean()
