"""Random views of volumes, in batches, where the volumes are."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from napari_neuropretrain.config.options.views import ViewOptions
from napari_neuropretrain.training.view_changes import ViewChanges, draw_changes
from napari_neuropretrain.training.view_intensity import (
    add_noise,
    blur,
    cut_out,
    vary_intensity,
)
from napari_neuropretrain.training.view_motion import change_chosen, flip, move


class Views:
    """Make one random view of each volume.

    Every parameter is drawn for each volume by itself. The same generator state
    gives the same views, whatever the number of threads; between kinds of device the
    noise differs, and the rest by rounding.

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
        shape = tuple(volumes.shape[2:])
        changes = draw_changes(self.options, len(volumes), shape, generator)
        if volumes.is_cuda:
            return change_together(volumes.float(), changes).to(volumes.dtype)
        # Only here: a training on a GPU need not load a compiler.
        from napari_neuropretrain.training.view_processor import change_each

        given = volumes.detach().float().cpu().contiguous()[:, 0].numpy()
        threads = torch.get_num_threads()
        seen = torch.from_numpy(change_each(given, changes, threads))
        return seen[:, None].to(volumes)


def change_together(volumes: Tensor, changes: ViewChanges) -> Tensor:
    """Return changed volumes (B, 1, X, Y, Z), all at once, as GPUs like it."""
    # A copy from here on.
    views = move(flip(volumes, changes.flips), changes.maps)
    brain = views != 0
    sigma = changes.blur_sigma
    change_chosen(views, sigma > 0, blur, sigma)
    views *= brain  # blur reaches beyond it
    contrast = (changes.gain, changes.shift, changes.gamma)
    change_chosen(views, changes.varies, vary_intensity, *contrast)
    noise = torch.Generator(views.device)
    if len(volumes):
        noise.manual_seed(int(changes.noise_seed[0]))
    sigma = changes.noise_sigma
    change_chosen(views, sigma > 0, partial(add_noise, generator=noise), sigma)
    views *= brain
    cuts = (changes.boxes[:, :, 0] < changes.boxes[:, :, 1]).all(1)
    change_chosen(views, cuts, cut_out, changes.boxes)
    return views
