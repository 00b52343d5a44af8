"""Build the networks of a latent diffusion bundle, and fill every tensor of them.

Weights of MONAI Generative name some layers otherwise than MONAI does. MONAI's own
``load_old_state_dict`` lost tensors in some versions (its issues 8029 and 8030), so
names are translated here, and a file that does not fill a network exactly is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from monai.networks.nets.autoencoderkl import AutoencoderKL
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from monai.networks.schedulers.ddim import DDIMScheduler
from torch import nn

from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.synthesis.latent_bundle import PAGE, PUBLISHED, Bundle
from napari_neuropretrain.weights.checkpoint_files import read_checkpoint
from napari_neuropretrain.weights.layouts import Layout
from napari_neuropretrain.weights.search import best_fit
from napari_neuropretrain.weights.target import target_of

_OLD_NAMES = (
    (r"\.conv\.conv\.", ".postconv.conv."),
    (r"\.to_out\.0\.", ".out_proj."),
    (r"\.proj_attn\.", ".attn.out_proj."),
    (r"\.(to_[qkv])\.", r".attn.\1."),
)
_CHUNK = 2**22


@dataclass(frozen=True, eq=False)
class LatentNetworks:
    """Networks of a bundle, ready to draw volumes.

    Parameters
    ----------
    autoencoder
        Decodes latent volumes.
    diffusion
        Tells the noise in a latent volume.
    """

    autoencoder: AutoencoderKL
    diffusion: DiffusionModelUNet

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return next(self.diffusion.parameters()).device


def build_networks(bundle: Bundle) -> LatentNetworks:
    """Build both networks of a bundle with random weights.

    Raises
    ------
    CheckpointError
        If MONAI refuses a definition.
    """
    try:
        autoencoder = AutoencoderKL(**bundle.autoencoder.model_dump())
        diffusion = DiffusionModelUNet(**bundle.diffusion.model_dump())
    except ValueError as error:
        raise CheckpointError(
            f"MONAI cannot build the networks that '{bundle.folder}' defines: {error}"
        ) from None
    return LatentNetworks(autoencoder.eval(), diffusion.eval())


def build_scheduler(bundle: Bundle, steps: int) -> DDIMScheduler:
    """Build the noise schedule of a bundle for a number of steps.

    Raises
    ------
    ConfigError
        If there are more steps than the model was trained with.
    """
    if steps > (trained := bundle.scheduler.num_train_timesteps):
        raise ConfigError(f"steps: {steps} is more than the model's {trained}.")
    scheduler = DDIMScheduler(**bundle.scheduler.model_dump())
    scheduler.set_timesteps(steps)
    return scheduler


def load_networks(bundle: Bundle, device: torch.device) -> LatentNetworks:
    """Build both networks and read their weights, in MONAI's or the older naming.

    Raises
    ------
    CheckpointError
        If a file cannot be read, or does not fill its network tensor by tensor.
    """
    with torch.device("meta"):  # random weights of 0.5 billion take their time
        networks = build_networks(bundle)
    fill_network(networks.autoencoder, bundle.files["autoencoder"])
    fill_network(networks.diffusion, bundle.files["diffusion"])
    networks.autoencoder.to(device).requires_grad_(False)
    networks.diffusion.to(device).requires_grad_(False)
    return networks


def fill_network(network: nn.Module, path: Path) -> None:
    """Read a file into a network; nothing is left over and nothing is reshaped.

    Parameters
    ----------
    network
        Of MONAI.
    path
        Read with ``weights_only=True``.

    Raises
    ------
    CheckpointError
        If a tensor is missing, has no place, or has another shape: with the list.
    """
    target = target_of(network)
    layout = _layout(target.shapes.keys())
    fitted = best_fit(read_checkpoint(path), target, layout)
    covered = fitted.coverage
    wrong = (covered.missing, covered.unexpected, covered.misshapen, covered.reshaped)
    if any(wrong):
        raise CheckpointError(
            f"'{path}' does not fill MONAI's {type(network).__name__} exactly; nothing "
            f"was loaded.\n{covered.describe()}\nThe config of the bundle and its "
            f"weights must belong together: fetch both again from {PAGE}."
        )
    network.load_state_dict(fitted.tensors, strict=True, assign=True)


def _layout(names: Collection[str]) -> Layout:
    """Return how the older names become those of a network that has `names`.

    A rule applies only where the network has a layer of the new kind: its encoder
    keeps ``conv.conv``, its decoder calls the same layer ``postconv.conv``.
    """
    known = frozenset(names)

    def translate(found: re.Match[str]) -> str:
        return next((new for new in spellings(found[0]) if new in known), found[0])

    return Layout(renames=((r"^.+$", translate),))


def spellings(name: str) -> list[str]:
    """List what a tensor of MONAI Generative may be called in MONAI.

    Examples
    --------
    >>> spellings("mid.attn1.to_out.0.bias")
    ['mid.attn1.to_out.0.bias', 'mid.attn1.out_proj.bias']
    """
    found = [name]
    for pattern, new in _OLD_NAMES:
        changed = re.sub(pattern, new, name)
        if changed != name:
            found.append(changed)
    return found


def fingerprints(bundle: Bundle) -> dict[str, str]:
    """Return the MD5 of each file of weights, and whether it is the published one.

    MD5, because that is the hash the model zoo publishes.
    """
    told = {}
    for part, path in bundle.files.items():
        status = path.stat()
        md5 = _md5(path, status.st_size, status.st_mtime_ns)
        published = md5 == PUBLISHED[part][2]
        told[part] = f"md5:{md5} ({'' if published else 'not '}the published file)"
    return told


@lru_cache(maxsize=8)
def _md5(path: Path, size: int, modified_ns: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
