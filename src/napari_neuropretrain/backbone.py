"""What every backbone can do, whatever it is built of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

Stage: TypeAlias = tuple[str, ...]


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
    stages: tuple[Stage, ...]
    """From input to output; each stage is the names of what it owns, because keys of
    published weights do not always share a prefix: a name owns the parameter of that
    name and all that start with it and a dot. Stages and head together own every
    parameter, each exactly once; `stage_of` tells which."""
    head_name: str
    """Name of the submodule that turns features into outputs (not `head`, which is the
    module itself in the layout of some published weights). The last module in it
    that has a `weight` and a `bias` makes the outputs."""
    patch_size: tuple[int, int, int]
    """Voxels along x, y and z that one cell of the first stage's map stands for: a
    masked or occluded cube should be a multiple of it."""

    def encode(self, volume: Tensor) -> Encoded:
        """Return features and tokens of (B, 1, X, Y, Z), without the head."""

    def stage_maps(self, volume: Tensor) -> list[Tensor]:
        """Return the output of each stage, (B, C, x, y, z), never finer than before."""


def stage_of(backbone: Backbone, parameter: str) -> int:
    """Return the number of the stage that owns a parameter.

    Parameters
    ----------
    backbone
        The network.
    parameter
        A name as in ``named_parameters``.

    Returns
    -------
    int
        0 for the stage next to the input; ``len(backbone.stages)`` for the head.

    Raises
    ------
    LookupError
        If no stage or more than one owns it: then `stages` is wrong.
    """
    parts = (*backbone.stages, (backbone.head_name,))
    owners = [
        number
        for number, names in enumerate(parts)
        if any(parameter == name or parameter.startswith(name + ".") for name in names)
    ]
    if len(owners) != 1:
        raise LookupError(f"'{parameter}' belongs to {len(owners)} stages, not to one")
    return owners[0]
