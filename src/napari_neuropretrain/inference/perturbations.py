"""Other looks at the same scan: small changes of the image, or of the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_DEGREES, MAX_VOXELS = 3.0, 1.0
"""Largest rotation about each axis, and shift along each."""
MAX_CONTRAST, MAX_BRIGHTNESS = 0.1, 0.1
"""As the augmentation of the trainings; in standard deviations of the brain."""


def perturb(image: Tensor, count: int, seed: int) -> Tensor:
    """Return changed copies of a volume.

    Every second copy is mirrored; each is turned by at most `MAX_DEGREES` and moved by
    at most `MAX_VOXELS`, and its contrast and brightness change by at most a tenth. The
    background stays 0.

    Parameters
    ----------
    image
        (1, X, Y, Z), left to right along X.
    count
        How many.
    seed
        Decides every change.

    Returns
    -------
    Tensor
        (count, 1, X, Y, Z)
    """
    generator = torch.Generator().manual_seed(seed)
    draws = 2 * torch.rand(count, 8, generator=generator) - 1
    copies = image.float().expand(count, *image.shape).clone()
    copies[1::2] = copies[1::2].flip(2)  # (N, 1, X, Y, Z): X
    moved = move(copies, torch.deg2rad(MAX_DEGREES * draws[:, :3]), draws[:, 3:6])
    contrast, brightness = draws[:, 6:].T.reshape(2, -1, 1, 1, 1, 1)
    brain = moved != 0
    changed = moved * (1 + MAX_CONTRAST * contrast) + MAX_BRIGHTNESS * brightness
    return torch.where(brain, changed, moved)


def move(images: Tensor, angles: Tensor, shares: Tensor) -> Tensor:
    """Turn and shift volumes by linear interpolation.

    Parameters
    ----------
    images
        (N, 1, X, Y, Z)
    angles
        Rotation about the three axes (N, 3), in radians.
    shares
        Shift along each axis (N, 3), in units of `MAX_VOXELS`.
    """
    count, sizes = len(images), images.shape[2:]
    turned = torch.eye(3).expand(count, 3, 3)
    for axis in range(3):
        cos, sin = angles[:, axis].cos(), angles[:, axis].sin()
        one = torch.eye(3).repeat(count, 1, 1)
        first, second = [other for other in range(3) if other != axis]
        one[:, first, first] = one[:, second, second] = cos
        one[:, first, second], one[:, second, first] = -sin, sin
        turned = turned @ one
    # affine_grid counts in halves of the edge, and names the last axis first.
    halves = torch.tensor([edge / 2 for edge in sizes])
    scaled = turned * halves[None, None, :] / halves[None, :, None]
    affine = torch.cat([scaled, (MAX_VOXELS * shares / halves)[:, :, None]], dim=2)
    affine[:, :, :3] = affine[:, :, :3].flip(1, 2)
    affine[:, :, 3] = affine[:, :, 3].flip(1)
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    # Nearest for the mask: a blurred edge would be taken for brain.
    looked = functional.grid_sample(images, grid, align_corners=False)
    inside = functional.grid_sample(
        (images != 0).float(), grid, mode="nearest", align_corners=False
    )
    return looked * inside


def has_dropout(network: nn.Module) -> bool:
    """Whether a network drops anything while it is trained."""
    return any(_drops(module) for module in network.modules())


@contextmanager
def dropping(network: nn.Module, seed: int) -> Iterator[None]:
    """Let dropout act, and nothing else, as in training (Gal and Ghahramani 2016).

    Batch normalisation keeps its statistics. The draws follow from `seed`, and torch's
    own generator is put back.
    """
    woken = [one for one in network.modules() if _drops(one) and not one.training]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in woken:
            module.training = True
        try:
            yield
        finally:
            for module in woken:
                module.training = False


def _drops(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    # Attention applies its own dropout, by its flag `training`.
    return float(getattr(module, "attention_dropout", 0.0) or 0.0) > 0
