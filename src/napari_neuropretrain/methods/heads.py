"""What methods put on top of a backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_neuropretrain.methods.batch import PretrainBatch


class Projector(nn.Sequential):
    """A perceptron from features (B, C) to embeddings (B, widths[-1]).

    Parameters
    ----------
    features
        Length of what comes in.
    widths
        Outputs of each linear layer.
    batch_norm
        Normalise between the layers by the batch, as VICReg and Barlow Twins do.
    """

    def __init__(
        self, features: int, widths: Sequence[int], batch_norm: bool = False
    ) -> None:
        layers: list[nn.Module] = []
        for number, width in enumerate(widths):
            last = number == len(widths) - 1
            # A bias before a normalisation does nothing.
            layers.append(nn.Linear(features, width, bias=last or not batch_norm))
            if not last:
                layers += [nn.BatchNorm1d(width)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
            features = width
        super().__init__(*layers)


class BackboneMethod(nn.Module, ABC):
    """A method that owns a backbone whose head it does not use.

    Parameters
    ----------
    backbone
        Its head is frozen: it has no part in the loss.
    """

    views = 0
    smallest_batch = 1

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.encoder = backbone
        head: str = backbone.head_name  # type: ignore[assignment]
        backbone.get_submodule(head).requires_grad_(False)

    @classmethod
    def check_backbone(cls, backbone: nn.Module) -> None:
        """Accept any backbone."""

    def fit_labels(self, labels: Tensor, classes: int = 0) -> None:
        """Leave labels as they are."""

    @abstractmethod
    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return the loss; each method has its own."""

    def features(self, volumes: Tensor) -> Tensor:
        """Return what the backbone's head would read, (B, C)."""
        encoded = self.encoder.encode(volumes)  # type: ignore[operator]
        features: Tensor = encoded.features
        return features


class TwoViewMethod(BackboneMethod):
    """A method that compares the embeddings of two views of each volume.

    Parameters
    ----------
    backbone
        Makes the features.
    widths, batch_norm
        Of the projector.
    """

    views = 2
    smallest_batch = 2

    def __init__(
        self, backbone: nn.Module, widths: Sequence[int], batch_norm: bool = False
    ) -> None:
        super().__init__(backbone)
        width: int = backbone.feature_dim  # type: ignore[assignment]
        self.projector = Projector(width, widths, batch_norm)

    def forward(self, volumes: Tensor) -> Tensor:
        """Return the embeddings (B, D) of (B, 1, X, Y, Z)."""
        embeddings: Tensor = self.projector(self.features(volumes))
        return embeddings

    def embed_views(self, batch: PretrainBatch) -> tuple[Tensor, Tensor]:
        """Return the embeddings (B, D) of both views.

        Both go through the network together, so that batch normalisation sees them
        as one batch.
        """
        embeddings = self(torch.cat(batch.volumes))
        first, second = embeddings.chunk(2)
        return first, second
