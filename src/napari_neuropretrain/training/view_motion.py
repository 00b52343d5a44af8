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


def draw_motion(
    options: ViewOptions, draws: Tensor, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Return the map of each volume, and which of them rotate.

    Parameters
    ----------
    options
        What may happen, and how strongly.
    draws
        Uniform on [0, 1), (B, `DRAWS`).
    shape
        Voxels (X, Y, Z).

    Returns
    -------
    tuple
        Maps (B, 3, 4) and bool (B,): whether a map needs more than one axis at a
        time. A volume that nothing happens to has the identity.
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
    return map_, moves & (options.rotation_degrees > 0)


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


def move(volumes: Tensor, maps: Tensor, rotates: Tensor) -> Tensor:
    """Return volumes (B, 1, X, Y, Z) looked up through their maps, linearly.

    Outside the volume is background, 0. Volumes with the identity come back as they
    are; maps without rotation are applied axis by axis, which is several times
    faster and gives the same.

    Parameters
    ----------
    volumes
        What to move; they stay as they are.
    maps
        (B, 3, 4), on the CPU.
    rotates
        Which maps are more than a scale and a shift of each axis, bool (B,).
    """
    moved = volumes.clone(memory_format=torch.contiguous_format)
    changed = (maps != torch.eye(3, 4)).flatten(1).any(1)
    # The first pass of two needs planes that are not turned too far.
    slight = maps[:, 0, 0].abs() > 0.5 * maps[:, 0, :3].norm(dim=1)
    for chosen, look_up in (
        (changed & ~rotates, _stretch),
        (changed & rotates & slight, sample_planes),
        (changed & rotates & ~slight, sample_space),
    ):
        change_chosen(moved, chosen, look_up, maps)
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
    # One volume fits into a processor's cache, a batch does not: three times as fast.
    step = 1 if volumes.is_cpu else len(volumes)
    for first in range(0, len(index), step):
        part = index[first : first + step]
        there = part.to(volumes.device)
        given = [one[part].to(volumes) for one in parameters]
        volumes[there] = function(volumes[there], *given)


def sample_space(volumes: Tensor, maps: Tensor) -> Tensor:
    """Interpolate trilinearly, for any map."""
    shape = volumes.shape[2:]
    half = (torch.tensor(shape).to(maps) - 1).clamp(min=1) / 2
    ticks = torch.meshgrid(*(_centred(size, maps) for size in shape), indexing="ij")
    points = torch.stack([*ticks, torch.ones_like(ticks[0])], -1)  # (X, Y, Z, 4)
    looked = points.reshape(1, -1, 4) @ maps.mT / half
    # -1 and 1 are the middles of the outermost voxels; the last axis comes first.
    grid = looked.flip(2).reshape(len(maps), *shape, 3)
    return functional.grid_sample(volumes, grid, align_corners=True)


def sample_planes(volumes: Tensor, maps: Tensor) -> Tensor:
    """Interpolate in planes of equal x, then along x (Catmull and Smith 1980).

    PyTorch interpolates images about ten times as fast as volumes on a CPU. Maps
    must not turn x into another axis.
    """
    (x, y, z), batch = volumes.shape[2:], len(maps)
    along, across = maps[:, :1], maps[:, 1:]  # what x and what y and z look up
    share = across[:, :, :1] / along[:, :, :1]  # (B, 2, 1)
    # Voxel x of the volume is seen from x' = (x - b y' - c z' - t) / a of the view.
    inside = across - share * along  # (B, 2, 4); its first column is 0
    inside = torch.cat([share, inside[:, :, 1:]], dim=2)
    images = volumes.reshape(batch * x, 1, y, z)
    seen = _sample_images(images, inside, (x, y, z))
    images = seen.reshape(batch, x, y, z).transpose(1, 2).reshape(batch * y, 1, x, z)
    keep = torch.tensor([0.0, 0, 1, 0]).to(maps).expand(batch, 1, 4)
    lines = torch.cat([along, keep], dim=1)[:, :, [1, 0, 2, 3]]
    seen = _sample_images(images, lines, (y, x, z))
    return seen.reshape(batch, y, x, z).transpose(1, 2).reshape(volumes.shape)


def _sample_images(images: Tensor, maps: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Look up images (B N, 1, H, W) at (h, w) = maps (B, 2, 4) of (n, h, w, 1)."""
    _, height, width = shape
    half = (torch.tensor([height, width]).to(maps) - 1).clamp(min=1) / 2
    maps = (maps / half[:, None]).flip(1)  # w before h
    parts = [
        _centred(size, maps)[:, None] * maps[:, None, :, axis]
        for axis, size in enumerate(shape)
    ]  # (B, N, 2), (B, H, 2), (B, W, 2)
    plane = parts[1][:, :, None] + (parts[2] + maps[:, None, :, 3])[:, None]
    # Long rows: broadcasting pairs of numbers would cost more than interpolating.
    rows = parts[0].repeat(1, 1, width)[:, :, None]  # (B, N, 1, 2 W)
    grid = rows + plane.flatten(2)[:, None]  # (B, N, H, 2 W)
    grid = grid.reshape(len(images), height, width, 2)
    return functional.grid_sample(images, grid, align_corners=True)


def _stretch(volumes: Tensor, maps: Tensor) -> Tensor:
    """Interpolate along one axis after another."""
    matrices = []
    for axis, size in enumerate(volumes.shape[2:]):
        here = _centred(size, maps)
        looked = maps[:, axis, axis, None] * here + maps[:, axis, 3, None]  # (B, S)
        distance = (looked[:, :, None] - here).abs()
        matrices.append((1 - distance).clamp(min=0))  # (B, S out, S in)
    return along_axes(volumes, matrices)


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
