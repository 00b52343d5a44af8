"""Draw T1-weighted heads from a latent diffusion model, one condition at a time.

Noise in a latent space is taken away in steps (DDIM, Song et al. 2021,
arXiv:2010.02502, eq. 12), while sex, age and two volumes tell the network what to
draw; the autoencoder then decodes the volume (Pinaya et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.networks.schedulers.ddim import DDIMScheduler
from numpy.typing import NDArray
from torch import Tensor

from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.synthesis.latent_bundle import Bundle
from napari_neuropretrain.synthesis.latent_conditions import Condition
from napari_neuropretrain.synthesis.latent_networks import LatentNetworks

Step = Callable[[int, int], None]
"""Hears how many of how many steps are done; may raise to stop."""
BORDERS = (slice(5, -5), slice(5, -5), slice(0, -15))
"""Voxels that the authors' own program keeps when it writes an image."""
TO_RAS = (-1.0, 1.0, 1.0)
"""Directions of the voxel axes, as that program writes them: the first runs left."""
_LEAST_EDGE = 64


def draw_noise(bundle: Bundle, seed: int, index: int) -> Tensor:
    """Return the noise that a volume starts from, (1, C, X, Y, Z) on the CPU.

    It is drawn by NumPy, so that each machine and device starts from the same.
    """
    rng = np.random.default_rng((seed, 8, index))
    noise = rng.standard_normal(bundle.latent_shape, dtype=np.float32)
    return torch.from_numpy(noise)[None]


@torch.inference_mode()
def draw_latent(
    networks: LatentNetworks,
    scheduler: DDIMScheduler,
    noise: Tensor,
    condition: Condition,
    step: Step,
) -> Tensor:
    """Turn noise (1, C, X, Y, Z) into a latent volume of the same shape.

    The condition goes in twice: as context of the cross-attention (1, 1, 4), and as
    four constant channels behind the latent ones.
    """
    device = networks.device
    vector = torch.tensor(condition.vector(), device=device)
    context = vector[None, None]
    channels = vector[None, :, None, None, None].expand(-1, -1, *noise.shape[2:])
    latent = noise.to(device)
    total = len(scheduler.timesteps)
    for number, time in enumerate(scheduler.timesteps.tolist()):
        step(number, total)
        given = torch.cat([latent, channels], dim=1)
        when = torch.tensor([time], device=device)
        found = networks.diffusion(given, timesteps=when, context=context)
        latent, _ = scheduler.step(found, time, latent)
    return latent


@torch.inference_mode()
def decode_latent(networks: LatentNetworks, latent: Tensor) -> NDArray[np.float32]:
    """Decode a latent volume (1, C, X, Y, Z) to an image (X, Y, Z)."""
    image = networks.autoencoder.decode_stage_2_outputs(latent)
    return np.asarray(image[0, 0].float().cpu().numpy())


def draw_head(
    bundle: Bundle,
    networks: LatentNetworks,
    scheduler: DDIMScheduler,
    seed: int,
    condition: Condition,
    step: Step,
) -> Volume:
    """Draw a head: 1 mm voxels, intensities from 0 to 1.

    Borders and directions are those of the program that the authors first published
    with the model (``saver.py`` in MONAI Generative). The middle is the origin.

    Raises
    ------
    ImageError
        If the model gives no image: not a number, or one single value.
    """
    noise = draw_noise(bundle, seed, condition.index)
    latent = draw_latent(networks, scheduler, noise, condition, step)
    image = decode_latent(networks, latent / bundle.scale_factor)
    if min(image.shape) >= _LEAST_EDGE:
        image = image[BORDERS]
    low, high = float(image.min()), float(image.max())
    if not high > low or not np.isfinite(image).all():
        raise ImageError(
            f"The model drew no image for volume {condition.index}: its values are "
            f"between {low:g} and {high:g}. Check the weights of '{bundle.folder}'."
        )
    scaled = ((image - low) / (high - low)).astype(np.float32)
    affine = np.diag([*TO_RAS, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(scaled.shape) - 1) / 2
    name = Path(f"volume {condition.index} of '{bundle.folder.name}'")
    return Volume.from_native(scaled, affine, name)
