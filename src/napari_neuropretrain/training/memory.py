"""How many volumes fit into memory at a time."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Pace:
    """Volumes per step, and steps per update of the weights."""

    batch_size: int
    accumulate: int = 1

    @property
    def volumes(self) -> int:
        """Volumes per update."""
        return self.batch_size * self.accumulate

    def halved(self) -> Pace:
        """Return half the batch, with as many volumes per update as before.

        Examples
        --------
        >>> Pace(8, 2).halved()
        Pace(batch_size=4, accumulate=4)
        >>> Pace(5).halved()
        Pace(batch_size=2, accumulate=2)
        """
        half = max(1, self.batch_size // 2)
        return Pace(half, max(1, self.volumes // half))


def smallest_batch(network: nn.Module) -> int:
    """Return 2 where volumes are normalised by their batch or compared, else 1."""
    kinds = nn.modules.batchnorm._BatchNorm
    least = int(getattr(network, "smallest_batch", 1))  # of a pre-training method
    return 2 if any(isinstance(one, kinds) for one in network.modules()) else least


def free_memory(network: nn.Module) -> None:
    """Give back what a step that failed has left."""
    network.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
