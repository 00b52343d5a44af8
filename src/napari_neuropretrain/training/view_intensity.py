"""Changing intensities: blur, contrast, noise, and boxes cut out."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_neuropretrain.training.view_motion import along_axes


def blur(volumes: Tensor, sigma: Tensor) -> Tensor:
    """Blur volumes (B, 1, X, Y, Z), each by its own Gaussian.

    Beyond the faces the volume goes on mirrored, so that the mean stays what it was.

    Parameters
    ----------
    volumes
        What to blur.
    sigma
        Standard deviations in voxels, (B,).
    """
    return along_axes(volumes, [_smoothing(size, sigma) for size in volumes.shape[2:]])


def _smoothing(size: int, sigma: Tensor) -> Tensor:
    """Return matrices (B, size, size) that smooth an axis; rows and columns sum to 1.

    The kernel reaches to four standard deviations, no further than one volume.
    """
    lags = torch.arange(1 - size, size, device=sigma.device)
    kernel = torch.exp(-0.5 * (lags / sigma[:, None]) ** 2)
    kernel = kernel * (lags.abs() <= (4 * sigma + 0.5).floor().clamp(min=1)[:, None])
    kernel = kernel / kernel.sum(1, keepdim=True)
    here = torch.arange(size, device=sigma.device)
    apart = here[:, None] - here
    # A voxel is also seen in the mirrors before the first and behind the last one.
    before, behind = here[:, None] + here + 1, here[:, None] + here + 1 - 2 * size
    matrix = kernel[:, apart + size - 1]
    for lag in (before, behind):
        inside = lag.abs() < size
        seen = kernel[:, lag.clamp(1 - size, size - 1) + size - 1]
        matrix = matrix + seen * inside
    return matrix


def vary_intensity(
    volumes: Tensor, gain: Tensor, shift: Tensor, gamma: Tensor
) -> Tensor:
    """Raise intensities to a power between their extremes, then scale and shift.

    The background counts: the least is never above 0, the largest never below.

    Parameters
    ----------
    volumes
        (B, 1, X, Y, Z).
    gain, shift, gamma
        (B,) each; 1, 0 and 1 change nothing.
    """
    flat = volumes.flatten(1)  # (B, voxels)
    low, high = flat.aminmax(dim=1, keepdim=True)
    low, high = low.clamp(max=0), high.clamp(min=0)
    span = (high - low).clamp(min=torch.finfo(volumes.dtype).tiny)
    powered = ((flat - low) / span).clamp_(0, 1).pow_(gamma[:, None])
    scale, offset = span * gain[:, None], low * gain[:, None] + shift[:, None]
    return powered.mul_(scale).add_(offset).reshape(volumes.shape)


def add_noise(volumes: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Add white Gaussian noise of deviations `sigma` (B,).

    The generator must be on the device of the volumes: the same seed gives other
    noise on another kind of device.
    """
    noise = torch.randn(
        volumes.shape, generator=generator, device=volumes.device, dtype=volumes.dtype
    )
    return noise.mul_(sigma[:, None, None, None, None]).add_(volumes)


def cut_out(volumes: Tensor, boxes: Tensor) -> Tensor:
    """Set a box of each volume to 0.

    Parameters
    ----------
    volumes
        (B, 1, X, Y, Z).
    boxes
        First and last + 1 voxel along each axis, (B, 3, 2).
    """
    outside = torch.zeros((), dtype=torch.bool, device=volumes.device)
    for axis, size in enumerate(volumes.shape[2:]):
        here = torch.arange(size, device=volumes.device)
        away = (here < boxes[:, axis, :1]) | (here >= boxes[:, axis, 1:])
        outside = outside | away.reshape(len(volumes), 1, *_along(axis, size))
    return volumes * outside


def _along(axis: int, size: int) -> list[int]:
    return [size if one == axis else 1 for one in range(3)]
