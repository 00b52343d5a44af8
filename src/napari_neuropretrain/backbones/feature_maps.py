"""What convolutional backbones share: their stages run one after the other."""

from __future__ import annotations

from torch import Tensor, nn

from napari_neuropretrain.backbone import Encoded, Stage
from napari_neuropretrain.errors import ConfigError


def run_stages(
    network: nn.Module, stages: tuple[Stage, ...], x: Tensor
) -> list[Tensor]:
    """Run the submodules that `stages` names in order; return each stage's output.

    Parameters
    ----------
    network
        Holds the submodules.
    stages
        Names of submodules that map a tensor to a tensor.
    x
        What goes into the first, (B, C, X, Y, Z).
    """
    maps = []
    for names in stages:
        for name in names:
            x = network.get_submodule(name)(x)
        maps.append(x)
    return maps


def pool_map(feature_map: Tensor) -> Encoded:
    """Average a feature map (B, C, x, y, z) over space.

    Examples
    --------
    >>> import torch
    >>> encoded = pool_map(torch.arange(8.0).view(1, 1, 2, 2, 2))
    >>> encoded.features.item(), encoded.tokens.shape, encoded.grid
    (3.5, torch.Size([1, 8, 1]), (2, 2, 2))
    """
    tokens = feature_map.flatten(2).transpose(1, 2)  # (B, C, x, y, z) -> (B, N, C)
    x, y, z = feature_map.shape[2:]
    return Encoded(feature_map.mean(dim=(2, 3, 4)), tokens, (x, y, z))


def check_edges(volume: Tensor, smallest: int, network: str) -> None:
    """Refuse volumes that would be nothing after the last stage.

    Raises
    ------
    ConfigError
        If an edge of (B, C, X, Y, Z) is under `smallest` voxels.
    """
    if min(volume.shape[2:]) < smallest:
        given = "x".join(str(edge) for edge in volume.shape[2:])
        raise ConfigError(
            f"This {network} halves the edges so often that each needs at least "
            f"{smallest} voxels, but the volume has {given}. Preprocess to a larger "
            "shape, or choose a network with fewer stages."
        )
