"""Age-supervised contrastive learning: people of similar age should be near.

Dufumier et al. (2021), "Contrastive learning with continuous proxy meta-data for 3D
MRI classification" (y-aware InfoNCE).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.options.methods import YAwareOptions
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.gather import gather_ranks
from napari_neuropretrain.methods.heads import TwoViewMethod
from napari_neuropretrain.methods.precision import in_float32
from napari_neuropretrain.methods.simclr import pairing_accuracy, similarities


class YAware(TwoViewMethod):
    """Pre-train a backbone by y-aware InfoNCE.

    Parameters
    ----------
    options
        Label, width of the kernel, temperature and projector.
    backbone
        The network.
    """

    def __init__(self, options: YAwareOptions, backbone: nn.Module) -> None:
        super().__init__(backbone, options.projector)
        self.options = options

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss``, and the share of views whose nearest is their partner."""
        if batch.labels is None:
            raise ValueError("y_aware needs the labels of the batch")
        first, second = map(gather_ranks, self.embed_views(batch))
        labels = gather_ranks(batch.labels.to(first.device))
        options = self.options
        loss = y_aware_info_nce(
            first,
            second,
            labels,
            options.sigma,
            options.temperature,
            options.normalise,
        )
        return {"loss": loss, "accuracy": pairing_accuracy(first, second)}


@in_float32
def y_aware_info_nce(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    sigma: float,
    temperature: float,
    normalise: Literal["row", "official"] = "row",
) -> Tensor:
    """Return the contrastive loss in which near labels count as positive.

    Parameters
    ----------
    first, second
        Embeddings (B, D) of two views of the same volumes.
    labels
        (B,), for example ages in years.
    sigma
        Width of the Gaussian kernel, in the unit of the labels. Towards 0 the loss
        becomes NT-Xent.
    temperature
        Of the cosine similarities.
    normalise
        ``row``: the weights of each view sum to 1, and the loss is the mean over the
        2B views, as in the paper. ``official``: as the published code does it, where
        each *column* sums to 1, and the sum is divided by B.

    Examples
    --------
    >>> y, n = torch.tensor([60.0, 60.0]), torch.eye(2)
    >>> loss = y_aware_info_nce(n, n, y, sigma=5, temperature=1)
    >>> round(loss.item(), 4)  # log(e + 2) - 1/3
    1.2181
    """
    log_shares = similarities(first, second, temperature).log_softmax(dim=1)
    itself = torch.eye(len(log_shares), dtype=torch.bool, device=first.device)
    weights = kernel_weights(labels.repeat(2), sigma, normalise)
    # Minus infinity times a weight of zero would not be a number.
    total = -(weights * log_shares.masked_fill(itself, 0)).sum()
    return total / (len(first) if normalise == "official" else len(itself))


def kernel_weights(
    labels: Tensor, sigma: float, normalise: Literal["row", "official"] = "row"
) -> Tensor:
    """Return how much each pair of views counts as positive, (N, N).

    Parameters
    ----------
    labels
        (N,), of all views.
    sigma
        Width of the Gaussian kernel.
    normalise
        See `y_aware_info_nce`.
    """
    distances = (labels.float()[:, None] - labels.float()[None]) / sigma
    logits = -0.5 * distances**2
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = logits.masked_fill(itself, -torch.inf)
    rows = logits.softmax(dim=1)
    if normalise == "row":
        return rows
    # The published code divides column j by the sum of row j; the kernel is
    # symmetric, so that is the transpose.
    return rows.T
