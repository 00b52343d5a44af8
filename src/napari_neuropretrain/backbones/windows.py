"""Windows of tokens for attention, as in Swin (Liu et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

Triple = tuple[int, int, int]
_APART = -100.0  # torchvision's; finite in half precision too


def clamp_window(window: Triple, shift: Triple, size: Triple) -> tuple[Triple, Triple]:
    """Shrink a window to the tokens there are; such an axis is not shifted.

    Examples
    --------
    >>> clamp_window((8, 7, 7), (4, 3, 3), (40, 7, 5))
    ((8, 7, 5), (4, 0, 0))
    """
    fits = [edge <= there for edge, there in zip(size, window, strict=True)]
    small = [min(pair) for pair in zip(size, window, strict=True)]
    moved = [0 if fit else step for fit, step in zip(fits, shift, strict=True)]
    return (small[0], small[1], small[2]), (moved[0], moved[1], moved[2])


def pad_to_multiple(tokens: Tensor, step: Triple) -> Tensor:
    """Pad (B, x, y, z, C) with zeros at the far ends to multiples of `step`."""
    x, y, z = (-edge % one for edge, one in zip(tokens.shape[1:4], step, strict=True))
    if x == y == z == 0:
        return tokens  # padding by nothing would copy
    return functional.pad(tokens, (0, 0, 0, z, 0, y, 0, x))


def partition(tokens: Tensor, window: Triple) -> Tensor:
    """Cut (B, x, y, z, C) into windows, (B, windows, tokens, C)."""
    batch, x, y, z, channels = tokens.shape
    (a, b, c) = window
    cut = tokens.reshape(batch, x // a, a, y // b, b, z // c, c, channels)
    cut = cut.permute(0, 1, 3, 5, 2, 4, 6, 7)
    return cut.reshape(batch, -1, a * b * c, channels)


def assemble(windows: Tensor, window: Triple, size: Triple) -> Tensor:
    """Undo `partition` for a grid of `size`."""
    (x, y, z), (a, b, c) = size, window
    batch, channels = windows.shape[0], windows.shape[-1]
    cut = windows.reshape(batch, x // a, y // b, z // c, a, b, c, channels)
    cut = cut.permute(0, 1, 4, 2, 5, 3, 6, 7)
    return cut.reshape(batch, x, y, z, channels)


def shift_mask(size: Triple, window: Triple, shift: Triple, like: Tensor) -> Tensor:
    """Keep tokens apart that share a window only because the grid was rolled.

    Parameters
    ----------
    size
        Tokens of the padded grid.
    window, shift
        Of this grid.
    like
        Gives device and type.

    Returns
    -------
    Tensor
        (windows, tokens, tokens): 0 for neighbours, -100 for strangers.
    """
    regions = torch.zeros((), dtype=torch.int64, device=like.device)
    for axis in range(3):
        place = torch.arange(size[axis], device=like.device)
        wrapped = (place >= size[axis] - window[axis]).long()
        if shift[axis]:
            wrapped = wrapped + (place >= size[axis] - shift[axis])
        else:
            wrapped = torch.zeros_like(place)
        regions = regions.unsqueeze(-1) * 3 + wrapped  # one axis more
    labels = partition(regions[None, ..., None], window)[0, :, :, 0]
    apart = labels.unsqueeze(1) != labels.unsqueeze(2)
    return torch.zeros_like(apart, dtype=like.dtype).masked_fill(apart, _APART)


def relative_index(window: Triple) -> Tensor:
    """Return a number for the offset of each pair of tokens in a window.

    Returns
    -------
    Tensor
        (tokens, tokens), rows of a table of (2D-1)(2H-1)(2W-1) biases.
    """
    axes = [torch.arange(edge) for edge in window]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # (3, N)
    offsets = places.unsqueeze(2) - places.unsqueeze(1)  # (3, N, N)
    a, b, c = (offsets[axis] + window[axis] - 1 for axis in range(3))
    return (a * (2 * window[1] - 1) + b) * (2 * window[2] - 1) + c


def corner_of(window: Triple, clamped: Triple) -> Tensor:
    """Return which tokens of a full window make up a clamped one.

    Examples
    --------
    >>> corner_of((1, 2, 3), (1, 2, 2)).tolist()
    [0, 1, 3, 4]
    """
    places = torch.arange(window[0] * window[1] * window[2]).view(window)
    return places[: clamped[0], : clamped[1], : clamped[2]].flatten()
