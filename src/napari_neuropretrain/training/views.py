"""Random views of volumes, in batches on the device that holds them."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.training import view_motion
from napari_neuropretrain.training.view_intensity import (
    add_noise,
    blur,
    cut_out,
    vary_intensity,
)
from napari_neuropretrain.training.view_motion import change_chosen

_AXES = {"x": 2, "y": 3, "z": 4}


class Views:
    """Make one random view of each volume.

    Every parameter is drawn for each volume by itself. The same generator state
    gives the same views; only the noise differs between kinds of device.

    What is 0 is background and stays so: blur, contrast and noise happen in the
    brain alone, and what comes in from outside the volume is background.

    Parameters
    ----------
    options
        What may happen, how often and how strongly.

    Examples
    --------
    >>> views = Views(ViewOptions())
    >>> batch = torch.randn(2, 1, 16, 16, 16)
    >>> views(batch, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 16, 16, 16])
    """

    def __init__(self, options: ViewOptions) -> None:
        self.options = options

    @torch.no_grad()
    def __call__(self, volumes: Tensor, generator: torch.Generator) -> Tensor:
        """Return views of volumes (B, 1, X, Y, Z); the volumes stay as they are.

        Parameters
        ----------
        volumes
            float, z-scored in the brain, 0 outside.
        generator
            Source of all randomness; on the CPU it never makes a GPU wait.
        """
        draw = _Draws(len(volumes), generator)
        views = self._move(self._flip(volumes, draw), draw)  # a copy from here on
        brain = views != 0
        self._blur(views, draw)
        self._vary_intensity(views, draw)
        self._add_noise(views, draw)
        views *= brain
        self._cut_out(views, draw)
        return views

    def _flip(self, volumes: Tensor, draw: _Draws) -> Tensor:
        for axis, dimension in _AXES.items():
            chance = self.options.flip_probability * (axis in self.options.flip_axes)
            flips = draw.happens(chance).reshape(-1, 1, 1, 1, 1)
            if chance:
                flips = flips.to(volumes.device)
                volumes = torch.where(flips, volumes.flip(dimension), volumes)
        return volumes

    def _move(self, volumes: Tensor, draw: _Draws) -> Tensor:
        draws = draw.uniform(0, 1, view_motion.DRAWS)
        shape = tuple(volumes.shape[2:])
        maps, rotates = view_motion.draw_motion(self.options, draws, shape)
        return view_motion.move(volumes, maps, rotates)

    def _blur(self, views: Tensor, draw: _Draws) -> None:
        chosen = draw.happens(self.options.blur_probability)
        change_chosen(views, chosen, blur, draw.uniform(*self.options.blur_sigma))

    def _vary_intensity(self, views: Tensor, draw: _Draws) -> None:
        options = self.options
        chosen = draw.happens(options.intensity_probability)
        gain = draw.uniform(1 - options.gain, 1 + options.gain)
        shift = draw.uniform(-options.shift, options.shift)
        # A power of 1/2 is as likely as one of 2.
        low, high = (math.log(power) for power in options.gamma)
        gamma = draw.uniform(low, high).exp()
        change_chosen(views, chosen, vary_intensity, gain, shift, gamma)

    def _add_noise(self, views: Tensor, draw: _Draws) -> None:
        chosen = draw.happens(self.options.noise_probability)
        sigma = draw.uniform(*self.options.noise_sigma)
        noise = torch.Generator(views.device).manual_seed(draw.seed())
        noisy = partial(add_noise, generator=noise)
        change_chosen(views, chosen, noisy, sigma)

    def _cut_out(self, views: Tensor, draw: _Draws) -> None:
        chosen = draw.happens(self.options.cutout_probability)
        extent = draw.uniform(*self.options.cutout_extent)
        change_chosen(views, chosen, cut_out, extent, draw.uniform(0, 1, 3))


class _Draws:
    """Random numbers for each volume of a batch, on the CPU.

    How many are drawn never depends on what happens, so that another chance of one
    change leaves the others as they were.
    """

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count = count
        self.generator = generator

    def uniform(self, low: float, high: float, width: int = 0) -> Tensor:
        """Return uniform numbers (B,), or (B, width)."""
        shape = (self.count, width) if width else (self.count,)
        device = self.generator.device
        drawn = torch.rand(shape, generator=self.generator, device=device).cpu()
        return low + (high - low) * drawn

    def happens(self, chance: float) -> Tensor:
        """Return True, bool (B,), with this chance."""
        return self.uniform(0, 1) < chance

    def seed(self) -> int:
        """Return a seed for another generator."""
        device = self.generator.device
        drawn = torch.randint(2**62, (1,), generator=self.generator, device=device)
        return int(drawn.item())
