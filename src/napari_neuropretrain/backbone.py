"""What every backbone can do, whatever it is built of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a backbone sees in a batch.

    Parameters
    ----------
    features
        One vector for each volume, (B, `feature_dim`): what the head reads.
    tokens
        The last stage before pooling, (B, N, C), for tokens of a transformer in
        the order of `grid` (class tokens left out), or of a flattened feature map.
    grid
        Tokens along x, y and z; their product is N.
    """

    features: Tensor
    tokens: Tensor
    grid: tuple[int, int, int]


@runtime_checkable
class Backbone(Protocol):
    """A network from volumes (B, 1, X, Y, Z) to outputs (B, out_features).

    It is also a `torch.nn.Module`. Methods, tuning strategies, importers and
    explanations need no more of a backbone than this.
    """

    feature_dim: int
    """Length of the vector that the head reads."""
    stages: tuple[str, ...]
    """Names of the submodules (or name prefixes) from input to output; with the
    head they own every parameter, each exactly once."""
    head: str
    """Name of the submodule that turns features into outputs."""

    def encode(self, volume: Tensor) -> Encoded:
        """Return features and tokens of (B, 1, X, Y, Z), without the head."""

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the output of each stage, (B, C, x, y, z), coarser and coarser."""
