"""What happens to each volume of a batch when views are made, drawn at random."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.methods.gather import rand_rows, randint_rows
from napari_neuropretrain.training.view_motion import DRAWS, draw_motion

_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class ViewChanges:
    """What happens to each of B volumes, on the CPU.

    Parameters
    ----------
    flips
        Axes to mirror, bool (B, 3); before the motion.
    maps
        Motion, (B, 3, 4), see `view_motion`.
    blur_sigma
        In voxels, (B,); 0: none.
    varies
        Whose intensities change, bool (B,).
    gain, shift, gamma
        (B,) each, see `vary_intensity`.
    noise_sigma
        (B,); 0: none.
    noise_seed
        Of the noise of each volume, int64 (B,).
    boxes
        First and last + 1 of the box to cut out, int64 (B, 3, 2); empty: none.
    """

    flips: Tensor
    maps: Tensor
    blur_sigma: Tensor
    varies: Tensor
    gain: Tensor
    shift: Tensor
    gamma: Tensor
    noise_sigma: Tensor
    noise_seed: Tensor
    boxes: Tensor


def draw_changes(
    options: ViewOptions,
    count: int,
    shape: tuple[int, ...],
    generator: torch.Generator,
) -> ViewChanges:
    """Draw what happens to each volume.

    How many numbers are drawn never depends on what happens, so that another chance
    of one change leaves the others as they were.

    Parameters
    ----------
    options
        What may happen, how often and how strongly.
    count
        Volumes.
    shape
        Voxels (X, Y, Z).
    generator
        Source of all randomness.
    """
    draw = _Draws(count, generator)
    flips = [draw.happens(_flip_chance(options, axis)) for axis in _AXES]
    maps = draw_motion(options, draw.uniform(0, 1, DRAWS), shape)
    blurs = draw.happens(options.blur_probability)
    blur_sigma = draw.uniform(*options.blur_sigma) * blurs
    varies = draw.happens(options.intensity_probability)
    gain = draw.uniform(1 - options.gain, 1 + options.gain)
    shift = draw.uniform(-options.shift, options.shift)
    # A power of 1/2 is as likely as one of 2.
    low, high = (math.log(power) for power in options.gamma)
    gamma = draw.uniform(low, high).exp()
    noisy = draw.happens(options.noise_probability)
    noise_sigma = draw.uniform(*options.noise_sigma) * noisy
    noise_seed = draw.seeds()
    cuts = draw.happens(options.cutout_probability)
    extent = draw.uniform(*options.cutout_extent) * cuts
    return ViewChanges(
        flips=torch.stack(flips, 1),
        maps=maps,
        blur_sigma=blur_sigma,
        varies=varies,
        gain=gain,
        shift=shift,
        gamma=gamma,
        noise_sigma=noise_sigma,
        noise_seed=noise_seed,
        boxes=place_boxes(extent, draw.uniform(0, 1, 3), shape),
    )


def _flip_chance(options: ViewOptions, axis: str) -> float:
    return options.flip_probability * (axis in options.flip_axes)


def place_boxes(extent: Tensor, place: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return first and last + 1 voxels of a box in each volume, (B, 3, 2).

    Parameters
    ----------
    extent
        Edges of the box as a share of the volume's, (B,); rounded to voxels.
    place
        Where it lies, (B, 3), from 0, at the first voxel, to 1, at the last one.
    shape
        Voxels (X, Y, Z).
    """
    sizes = torch.tensor(shape)
    edges = (extent[:, None] * sizes).round()
    first = (place * (sizes - edges)).round()
    return torch.stack([first, first + edges], 2).long()


class _Draws:
    """Random numbers for each volume of a batch, on the CPU."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count = count
        self.generator = generator

    def uniform(self, low: float, high: float, width: int = 0) -> Tensor:
        """Return uniform numbers (B,), or (B, width)."""
        shape = (width,) if width else ()
        drawn = rand_rows(self.count, *shape, generator=self.generator)
        return low + (high - low) * drawn

    def happens(self, chance: float) -> Tensor:
        """Return True, bool (B,), with this chance."""
        return self.uniform(0, 1) < chance

    def seeds(self) -> Tensor:
        """Return a seed for each volume, int64 (B,)."""
        return randint_rows(2**62, self.count, generator=self.generator)
