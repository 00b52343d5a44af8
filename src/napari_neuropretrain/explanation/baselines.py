"""What stands in a hidden place."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional

Baseline: TypeAlias = Literal["mean", "black", "blurred", "mirror"]
"""0, the brain's mean after z-scoring; the brain's minimum, as in the paper; the scan
itself without its details; or the other half of the brain."""


def hide_all(
    image: Tensor,
    brain: Tensor,
    baseline: Baseline,
    patch: int = 8,
    affine: ArrayLike | None = None,
) -> Tensor:
    """Return the scan with every voxel of the brain replaced, (X, Y, Z).

    Parameters
    ----------
    image
        Volume (X, Y, Z), z-scored in the brain.
    brain
        Boolean (X, Y, Z); what lies outside stays as it is.
    baseline
        What replaces it.
    patch
        Edge of the cube in voxels. ``"blurred"`` is smoothed by a Gaussian of half
        of it (standard deviation), over the brain only.
    affine
        Voxel to RAS mm of ``"mirror"``, (4, 4): left and right are told by x = 0 mm.
        Without it, by the middle of the first axis. A voxel whose counterpart is no
        brain gets the mean.
    """
    if baseline == "mean":
        filling = image.new_zeros(())
    elif baseline == "black":
        filling = image[brain].min()
    elif baseline == "blurred":
        inside = brain.to(image.dtype)
        weight = _blur(inside, patch / 2)
        filling = _blur(image * inside, patch / 2) / weight.clamp(min=1e-6)
    else:
        filling = _mirror(image, brain, affine)
    return torch.where(brain, filling, image)


def _blur(volume: Tensor, sigma: float) -> Tensor:
    """Smooth by a Gaussian, with zeros beyond the edges."""
    reach = max(1, round(3 * sigma))
    places = torch.arange(-reach, reach + 1, dtype=volume.dtype, device=volume.device)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    smooth = volume[None, None]
    for axis in range(3):
        shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[axis + 2], padding[axis] = len(kernel), reach
        smooth = functional.conv3d(smooth, kernel.view(shape), padding=padding)
    return smooth[0, 0]


def _mirror(image: Tensor, brain: Tensor, affine: ArrayLike | None) -> Tensor:
    """Swap left and right; the mean, 0, where the counterpart is no brain."""
    count = len(image)
    twice_middle = count - 1.0
    if affine is not None:
        matrix = np.asarray(affine)
        twice_middle = -2 * float(matrix[0, 3]) / float(matrix[0, 0])
    places = twice_middle - torch.arange(count, dtype=torch.float64)
    low = places.floor()
    share = (places - low).to(image)[:, None, None]  # 0 where voxels meet exactly
    known = image * brain
    return _take(known, low) * (1 - share) + _take(known, low + 1) * share


def _take(volume: Tensor, rows: Tensor) -> Tensor:
    """Return rows of the first axis, zeros where there is none."""
    inside = (rows >= 0) & (rows < len(volume))
    index = rows.clamp(0, len(volume) - 1).long().to(volume.device)
    taken: Tensor = volume[index] * inside.to(volume)[:, None, None]
    return taken
