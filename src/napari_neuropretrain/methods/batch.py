"""What a pre-training method gets, and what it has to give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class PretrainBatch:
    """Volumes of one step.

    Parameters
    ----------
    volumes
        One tensor (B, 1, X, Y, Z) for each view; the plain volumes where the method
        wants no views.
    labels
        (B,), in the unit of the label; None where the method wants none.
    brain_mask
        (B, 1, X, Y, Z), True in the brain of the plain volumes, or None.
    generator
        Draws all that is random in the method, on the CPU; None: torch's own.
    """

    volumes: tuple[Tensor, ...]
    labels: Tensor | None = None
    brain_mask: Tensor | None = None
    generator: torch.Generator | None = None


@runtime_checkable
class Method(Protocol):
    """A way to pre-train a backbone; built as ``Method(options, backbone)``.

    It is also a `torch.nn.Module` that owns the backbone and its own heads.
    """

    views: ClassVar[int]
    """Changed copies of each volume that `loss` wants; 0: the plain volume."""
    smallest_batch: ClassVar[int]
    """Volumes below which the loss means nothing."""
    encoder: nn.Module
    """The backbone, which is saved."""

    @classmethod
    def check_backbone(cls, backbone: nn.Module) -> None:
        """Raise `ConfigError` where the method cannot work with this network."""

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``"loss"``, which is optimised, and what else is worth a curve.

        Where several processes have a part of the batch each, the mean of each value
        over processes is that of the whole batch; see `gather`.
        """

    def fit_labels(self, labels: Tensor, classes: int = 0) -> None:
        """Learn from the training labels (N,) how they are scaled.

        Where the labels number classes, there are so many of them, else 0.
        """
