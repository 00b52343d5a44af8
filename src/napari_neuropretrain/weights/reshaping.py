"""Fit a pre-trained tensor into another shape without changing what it does."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

Triple = tuple[int, int, int]


def sum_input_channels(weight: Tensor) -> Tensor:
    """Sum the kernels of the input channels: (C, K, x, y, z) to (C, 1, x, y, z).

    A grey image in all K channels then gives the same response as before; the mean
    would give a K-th of it.

    Examples
    --------
    >>> import torch
    >>> sum_input_channels(torch.ones(2, 3, 1, 1, 1)).flatten()
    tensor([3., 3.])
    """
    return weight.sum(dim=1, keepdim=True)


def resize_bias_table(table: Tensor, source: Triple, target: Triple) -> Tensor:
    """Interpolate a relative position bias table along all three axes.

    Parameters
    ----------
    table
        ((2D-1)(2H-1)(2W-1), heads) for the source window (D, H, W).
    source, target
        Windows in tokens.

    Returns
    -------
    Tensor
        The table of the target window. Equal offsets of the windows' corners keep
        their values, and so does the offset zero.
    """
    heads = table.shape[1]
    old, new = (tuple(2 * edge - 1 for edge in window) for window in (source, target))
    volume = table.T.reshape(1, heads, *old).float()  # (1, heads, 2D-1, 2H-1, 2W-1)
    sized = functional.interpolate(
        volume, size=new, mode="trilinear", align_corners=True
    )
    return sized.reshape(heads, -1).T.to(table.dtype).contiguous()


def resize_positions(positions: Tensor, source: Triple, target: Triple) -> Tensor:
    """Interpolate position embeddings (1, x*y*z, C) to another grid of tokens."""
    channels = positions.shape[2]
    volume = positions.transpose(1, 2).reshape(1, channels, *source).float()
    sized = functional.interpolate(
        volume, size=target, mode="trilinear", align_corners=False
    )
    return sized.flatten(2).transpose(1, 2).to(positions.dtype).contiguous()


def unfold_patches(weight: Tensor, patch: Triple) -> Tensor:
    """Turn a linear patch embedding (C, x*y*z*K) into a convolution (C, K, x, y, z).

    MONAI's "perceptron" flattens a patch with the channel last.
    """
    channels = weight.shape[1] // (patch[0] * patch[1] * patch[2])
    cube = weight.reshape(weight.shape[0], *patch, channels)
    return cube.permute(0, 4, 1, 2, 3).contiguous()


def guess_window(entries: int) -> Triple | None:
    """Return the window (D, H, H) whose bias table has so many entries.

    Of several the one nearest to a cube.

    Examples
    --------
    >>> guess_window(15 * 13 * 13), guess_window(9**3), guess_window(8)
    ((8, 7, 7), (5, 5, 5), None)
    """
    found = [
        ((entries // plane**2 + 1) // 2, (plane + 1) // 2)
        for plane in range(1, int(entries**0.5) + 1, 2)
        if entries % plane**2 == 0 and entries // plane**2 % 2 == 1
    ]
    if not found:
        return None
    depth, edge = min(found, key=lambda window: abs(window[0] - window[1]))
    return depth, edge, edge


def guess_cube(tokens: int) -> Triple | None:
    """Return the cube that has so many tokens, or None.

    Examples
    --------
    >>> guess_cube(216), guess_cube(217)
    ((6, 6, 6), None)
    """
    edge = round(tokens ** (1 / 3))
    return (edge, edge, edge) if edge**3 == tokens else None
