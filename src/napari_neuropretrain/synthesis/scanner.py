"""What scanners and file preparation do to a head, at random.

Each step takes and gives intensities (X, Y, Z); the steps follow the order in
which the damage happens: coil, blur, noise, field of view, stripping.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def degrade_head(
    volume: Tensor, masks: Tensor, generator: torch.Generator, spacing_mm: float
) -> tuple[Tensor, Tensor]:
    """Give a clean head the faults of a real scan.

    Parameters
    ----------
    volume
        Intensities of 0 and above, float32 (X, Y, Z) in RAS order.
    masks
        Brain and inside of the skull, bool (2, X, Y, Z).
    generator
        Source of all randomness.
    spacing_mm
        Voxel size; isotropic.

    Returns
    -------
    tuple of Tensor
        The degraded volume, and the masks of what is still in view.
    """
    volume = add_bias_field(volume, generator)
    volume = blur(volume, generator)
    volume = add_noise(volume, generator)
    volume = change_gamma(volume, generator)
    if _chance(0.25, generator):
        view = draw_view(masks[0], generator, spacing_mm)
        volume, masks = volume * view, masks & view
    if _chance(0.15, generator):
        volume = remove_face(volume, masks[1], generator, spacing_mm)
    if _chance(0.08, generator):
        kept = masks[int(_chance(0.3, generator))]
        volume, masks = volume * kept, masks & kept
    return volume, masks


def add_bias_field(volume: Tensor, generator: torch.Generator) -> Tensor:
    """Multiply by a smooth field, exp of a normal field on a 2-5 point lattice."""
    knots = int(torch.randint(2, 6, (1,), generator=generator))
    strength = _uniform(0.0, 0.5, generator)
    field = torch.randn((1, 1, knots, knots, knots), generator=generator) * strength
    smooth = functional.interpolate(
        field, size=tuple(volume.shape), mode="trilinear", align_corners=True
    )
    return volume * smooth[0, 0].exp_()


def blur(volume: Tensor, generator: torch.Generator) -> Tensor:
    """Blur every axis by up to one voxel; thick slices along one, now and then."""
    for axis in range(3):
        width = _uniform(0.2, 0.9, generator)
        volume = _blur_axis(volume, axis, width)
    if _chance(0.25, generator):
        axis = int(torch.randint(3, (1,), generator=generator))
        thickness = _uniform(1.2, 3.0, generator)
        size = list(volume.shape)
        size[axis] = max(8, round(size[axis] / thickness))
        thick = functional.interpolate(volume[None, None], size=size, mode="area")
        volume = functional.interpolate(
            thick, size=tuple(volume.shape), mode="trilinear"
        )[0, 0]
    return volume


def add_noise(volume: Tensor, generator: torch.Generator) -> Tensor:
    """Add normal noise inside the head; magnitudes stay positive."""
    strength = _uniform(0.0, 0.08, generator) * float(volume.mean()) * 3
    noise = torch.randn(volume.shape, generator=generator) * strength
    if _chance(0.5, generator):
        noise = noise * (volume > 0)
    return volume.add(noise).abs_()


def change_gamma(volume: Tensor, generator: torch.Generator) -> Tensor:
    """Raise relative intensities to a power around 1."""
    power = math.exp(0.25 * float(torch.randn(1, generator=generator)))
    peak = float(volume.max()) or 1.0
    return (volume / peak).pow_(power).mul_(peak)


def draw_view(
    brain_mask: Tensor, generator: torch.Generator, spacing_mm: float
) -> Tensor:
    """Leave out what lies under the brain's end, over its top, or beside the head.

    Returns
    -------
    Tensor
        True in view, bool (X, Y, Z).
    """
    inside = brain_mask.flatten(0, 1).any(0).nonzero()
    view = torch.ones_like(brain_mask)
    if len(inside):
        low, high = int(inside[0]), int(inside[-1])
        below = low + round(_uniform(-60, 15, generator) / spacing_mm)
        view[:, :, : max(0, below)] = False
        if _chance(0.2, generator):
            above = high + round(_uniform(-12, 10, generator) / spacing_mm)
            view[:, :, above:] = False
    if _chance(0.3, generator):
        side = round(_uniform(2, 20, generator) / spacing_mm)
        view[:, :side] = False
        view[:, -side:] = False
    return view


def remove_face(
    volume: Tensor, cranium: Tensor, generator: torch.Generator, spacing_mm: float
) -> Tensor:
    """Empty the half space in front of and below an oblique plane, as defacing does."""
    angle = math.radians(_uniform(10, 65, generator))
    y = torch.arange(volume.shape[1])[:, None] * (spacing_mm * math.cos(angle))
    z = torch.arange(volume.shape[2]) * (spacing_mm * math.sin(angle))
    depth = y - z
    brain = depth[cranium.any(0)]
    limit = float(brain.max()) if len(brain) else 0.0
    limit += _uniform(-4, 15, generator)
    removed = (depth > limit) & ~cranium
    return volume.masked_fill(removed, 0.0)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand(1, generator=generator))


def _chance(probability: float, generator: torch.Generator) -> bool:
    return _uniform(0, 1, generator) < probability


def _blur_axis(volume: Tensor, axis: int, width: float) -> Tensor:
    """Convolve one axis with a Gaussian of `width` voxels cut at 2 voxels."""
    weights = [math.exp(-0.5 * (k / width) ** 2) for k in range(3)]
    total = weights[0] + 2 * (weights[1] + weights[2])
    blurred = volume * (weights[0] / total)
    size = volume.shape[axis]
    for reach in (1, 2):
        weight = weights[reach] / total
        tail = volume.narrow(axis, reach, size - reach)
        lead = volume.narrow(axis, 0, size - reach)
        blurred.narrow(axis, 0, size - reach).add_(tail, alpha=weight)
        blurred.narrow(axis, reach, size - reach).add_(lead, alpha=weight)
    return blurred
