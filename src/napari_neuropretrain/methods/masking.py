"""Hide blocks of volumes, and cut volumes into patches and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.methods.gather import joint_mean, rand_rows

Triple = tuple[int, int, int]


def draw_mask(
    count: int, grid: Triple, ratio: float, generator: torch.Generator | None = None
) -> Tensor:
    """Choose cells to hide, the same number in each volume.

    Parameters
    ----------
    count
        Volumes.
    grid
        Cells along x, y and z.
    ratio
        Share to hide; at least one cell is hidden and one is left.
    generator
        On the CPU.

    Returns
    -------
    Tensor
        bool (count, x, y, z), on the CPU.

    Examples
    --------
    >>> draw_mask(3, (2, 2, 2), 0.75).sum(dim=(1, 2, 3)).tolist()
    [6, 6, 6]
    """
    cells = math.prod(grid)
    hidden = min(max(round(ratio * cells), 1), cells - 1)
    order = rand_rows(count, cells, generator=generator).argsort(dim=1)
    return (order.argsort(dim=1) < hidden).view(count, *grid)


def spread(mask: Tensor, step: Triple, size: Triple) -> Tensor:
    """Repeat each cell of (B, x, y, z) `step` times, and cut to `size`.

    Examples
    --------
    >>> spread(torch.tensor([1, 0]).view(1, 2, 1, 1), (2, 1, 1), (3, 1, 1)).flatten()
    tensor([1, 1, 0])
    """
    for axis, times in enumerate(step):
        mask = mask.repeat_interleave(times, dim=axis + 1)
    x, y, z = size
    return mask[:, :x, :y, :z]


def cells(size: Triple, step: Triple) -> Triple:
    """Return how many cells of `step` cover `size`.

    Examples
    --------
    >>> cells((80, 90, 80), (16, 16, 16))
    (5, 6, 5)
    """
    x, y, z = (-(-edge // one) for edge, one in zip(size, step, strict=True))
    return x, y, z


def cut_patches(volumes: Tensor, patch: Triple) -> Tensor:
    """Cut (B, 1, X, Y, Z) into patches (B, N, voxels), x slowest; edges get zeros."""
    grid = cells(_size(volumes), patch)
    pad = [
        edge
        for axis in (2, 1, 0)
        for edge in (0, grid[axis] * patch[axis] - volumes.shape[axis + 2])
    ]
    (x, y, z), (a, b, c) = grid, patch
    parts = functional.pad(volumes, pad).reshape(-1, x, a, y, b, z, c)
    return parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, x * y * z, a * b * c)


def join_patches(patches: Tensor, patch: Triple, size: Triple) -> Tensor:
    """Undo `cut_patches` for volumes of `size`.

    Examples
    --------
    >>> volume = torch.rand(2, 1, 5, 4, 6)
    >>> patches = cut_patches(volume, (2, 2, 3))
    >>> torch.equal(join_patches(patches, (2, 2, 3), (5, 4, 6)), volume)
    True
    """
    (x, y, z), (a, b, c) = cells(size, patch), patch
    parts = patches.reshape(-1, x, y, z, a, b, c).permute(0, 1, 4, 2, 5, 3, 6)
    whole = parts.reshape(-1, 1, x * a, y * b, z * c)
    return whole[:, :, : size[0], : size[1], : size[2]]


def normalise_blocks(volumes: Tensor, block: Triple) -> Tensor:
    """Give each block of (B, 1, X, Y, Z) mean 0 and standard deviation 1.

    He et al. (2022), section 4; a block of one value becomes 0.
    """
    patches = cut_patches(volumes, block)
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    return join_patches(
        (patches - mean) / (variance + 1e-6).sqrt(), block, _size(volumes)
    )


def restore_blocks(normalised: Tensor, volumes: Tensor, block: Triple) -> Tensor:
    """Undo `normalise_blocks` with mean and deviation of the blocks of `volumes`.

    Examples
    --------
    >>> volumes = torch.rand(2, 1, 4, 4, 6)
    >>> block = (2, 2, 3)
    >>> again = restore_blocks(normalise_blocks(volumes, block), volumes, block)
    >>> torch.allclose(again, volumes, atol=1e-6)
    True
    """
    patches = cut_patches(volumes, block)
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    scaled = cut_patches(normalised, block) * (variance + 1e-6).sqrt() + mean
    return join_patches(scaled, block, _size(volumes))


def masked_mean(errors: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of `errors` where `mask`, or 0 where it is empty.

    Of several processes with a part of the batch each, see `joint_mean`.
    """
    # Not errors[mask]: its size would make a GPU wait.
    kept, count = errors.float() * mask, mask.sum()
    return joint_mean(kept.sum() / count.clamp(min=1), count)


def _size(volumes: Tensor) -> Triple:
    x, y, z = volumes.shape[2:]
    return x, y, z
