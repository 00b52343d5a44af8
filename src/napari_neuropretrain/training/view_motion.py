"""Moving volumes: affine maps, cropping and enlarging, interpolated once.

A map says for each voxel of the view where to look in the volume. It is a (B, 3, 4)
tensor on voxel coordinates whose origin is the middle of the volume.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.config.options.views import ViewOptions

DRAWS = 15
"""Random numbers that `draw_motion` takes for each volume."""


def draw_motion(options: ViewOptions, draws: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the map of each volume, (B, 3, 4).

    A volume that nothing happens to has the identity.

    Parameters
    ----------
    options
        What may happen, and how strongly.
    draws
        Uniform on [0, 1), (B, `DRAWS`).
    shape
        Voxels (X, Y, Z).
    """
    moves = draws[:, 0] < options.affine_probability
    crops = draws[:, 1] < options.crop_probability
    angles, scales, shifts = (2 * draws[:, 2:11] - 1).reshape(-1, 3, 3).unbind(1)
    linear = _rotation(angles * math.radians(options.rotation_degrees))
    linear = linear / (1 + options.scaling * scales)[:, None]
    offset = -options.translation_voxels * shifts
    linear = torch.where(moves[:, None, None], linear, torch.eye(3))
    offset = torch.where(moves[:, None], offset, torch.zeros(3))
    low, high = options.crop_extent
    # One extent for all axes: the anatomy keeps its proportions.
    extent = low + (high - low) * draws[:, 14:15]
    extent = torch.where(crops[:, None], extent, torch.ones(1))
    room = (1 - extent) / 2 * (torch.tensor(shape) - 1)
    centre = room * (2 * draws[:, 11:14] - 1)
    map_ = torch.cat([extent[:, :, None] * linear, offset[..., None]], dim=2)
    map_[:, :, 3] = extent * offset + centre
    return map_


def _rotation(angles: Tensor) -> Tensor:
    """Return the rotations (B, 3, 3) about x, y and z by angles (B, 3) in radians."""
    matrix = torch.eye(3).expand(len(angles), 3, 3)
    for axis, (one, other) in enumerate(((1, 2), (2, 0), (0, 1))):
        cosine, sine = angles[:, axis].cos(), angles[:, axis].sin()
        turn = torch.eye(3).repeat(len(angles), 1, 1)
        turn[:, one, one] = turn[:, other, other] = cosine
        turn[:, one, other], turn[:, other, one] = -sine, sine
        matrix = matrix @ turn
    return matrix


def flip(volumes: Tensor, flips: Tensor) -> Tensor:
    """Return volumes (B, 1, X, Y, Z), mirrored along the chosen axes, bool (B, 3)."""
    for axis in range(3):
        if bool(flips[:, axis].any()):
            chosen = flips[:, axis].to(volumes.device).reshape(-1, 1, 1, 1, 1)
            volumes = torch.where(chosen, volumes.flip(2 + axis), volumes)
    return volumes


def move(volumes: Tensor, maps: Tensor) -> Tensor:
    """Return a copy of volumes (B, 1, X, Y, Z), looked up through their maps.

    Outside the volume is background, 0. Volumes with the identity stay exactly what
    they are.

    Parameters
    ----------
    volumes
        What to move; they stay as they are.
    maps
        (B, 3, 4), on the CPU.
    """
    moved = volumes.clone(memory_format=torch.contiguous_format)
    changed = (maps != torch.eye(3, 4)).flatten(1).any(1)
    change_chosen(moved, changed, look_up, maps)
    return moved


def change_chosen(
    volumes: Tensor,
    chosen: Tensor,
    function: Callable[..., Tensor],
    *parameters: Tensor,
) -> None:
    """Apply a function to the chosen volumes, in place.

    Parameters
    ----------
    volumes
        (B, 1, X, Y, Z).
    chosen
        bool (B,), on the CPU.
    function
        Takes volumes and parameters, gives volumes.
    parameters
        (B, ...) each, on the CPU; the function gets those of its volumes, on their
        device.
    """
    index = chosen.nonzero()[:, 0]
    if len(index):
        there = index.to(volumes.device)
        given = [one[index].to(volumes.device) for one in parameters]
        volumes[there] = function(volumes[there], *given)


def look_up(volumes: Tensor, maps: Tensor) -> Tensor:
    """Interpolate trilinearly, for any map."""
    shape = volumes.shape[2:]
    half = (torch.tensor(shape).to(maps) - 1).clamp(min=1) / 2
    ticks = torch.meshgrid(*(_centred(size, maps) for size in shape), indexing="ij")
    points = torch.stack([*ticks, torch.ones_like(ticks[0])], -1)  # (X, Y, Z, 4)
    looked = points.reshape(1, -1, 4) @ maps.mT / half
    # -1 and 1 are the middles of the outermost voxels; the last axis comes first.
    grid = looked.flip(2).reshape(len(maps), *shape, 3)
    return functional.grid_sample(volumes, grid, align_corners=True)


def _centred(size: int, like: Tensor) -> Tensor:
    ticks = torch.arange(size, device=like.device, dtype=like.dtype)
    return ticks - (size - 1) / 2


def along_axes(volumes: Tensor, matrices: list[Tensor]) -> Tensor:
    """Multiply each axis of volumes (B, 1, X, Y, Z) by its matrix (B, S, S)."""
    x, y, z = matrices
    batch, _, *shape = volumes.shape
    turned = x @ volumes.reshape(batch, shape[0], -1)
    turned = y[:, None] @ turned.reshape(batch, *shape)
    turned = turned.reshape(batch, -1, shape[2]) @ z.mT
    return turned.reshape(volumes.shape)
