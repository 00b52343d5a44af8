"""Read the folder of a latent diffusion bundle of MONAI's model zoo.

The published one is ``brain_image_synthesis_latent_diffusion_model`` (Pinaya et al.,
Brain imaging generation with latent diffusion models, DGM4MICCAI 2022,
doi:10.1007/978-3-031-18576-2_12). Its config holds Python expressions; none is ever
evaluated. The few that matter are recognised by their form, others are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from napari_neuropretrain.config.base import Config, read_yaml
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.synthesis.latent_definitions import (
    AutoencoderDefinition,
    DiffusionDefinition,
    SchedulerDefinition,
)

NAME = "brain_image_synthesis_latent_diffusion_model"
PAGE = f"https://github.com/Project-MONAI/model-zoo/tree/dev/models/{NAME}"
DRIVE = "https://drive.google.com/uc?export=download&id="
PUBLISHED = {
    "autoencoder": (
        "autoencoder.pt",
        DRIVE + "1CZHwxHJWybOsDavipD0EorDPOo_mzNeX",
        "329e97b3085643ff235f11f049856242",
    ),
    "diffusion": (
        "model.pt",
        DRIVE + "1XO-ak93ZuOcGTCpgRtqgIeZq3dG5ExN6",
        "21c3047556fb671caf0556f1cce6ef22",
    ),
}
"""File, address and MD5 of each network, as the bundle's large_files.yml has them."""
_CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
_STEMS = {
    "autoencoder": ("autoencoder", "model_autoencoder"),
    "diffusion": ("model", "diffusion_model", "diffusion", "model_diffusion"),
}
_TARGETS = {
    "autoencoder_def": "AutoencoderKL",
    "diffusion_def": "DiffusionModelUNet",
    "scheduler": "DDIMScheduler",
}
_SUFFIXES = (".pt", ".pth", ".safetensors")
_NOISE = re.compile(r"\$torch\.randn\(\(\s*((?:\d+\s*,\s*)+\d+)\s*,?\s*\)\).*")
_REFERENCE = re.compile(r"@(\w+)")

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Bundle:
    """What a bundle's folder says, and where its weights are.

    Parameters
    ----------
    folder
        Of the bundle.
    autoencoder, diffusion, scheduler
        Definitions of the networks and of the noise.
    latent_shape
        Channels and edges of the latent volume (C, X, Y, Z).
    scale_factor
        What latent volumes were multiplied by for the diffusion.
    files
        Weights by ``autoencoder`` and ``diffusion``.
    notes
        What a person should know, for example that there is no config.
    """

    folder: Path
    autoencoder: AutoencoderDefinition = field(default_factory=AutoencoderDefinition)
    diffusion: DiffusionDefinition = field(default_factory=DiffusionDefinition)
    scheduler: SchedulerDefinition = field(default_factory=SchedulerDefinition)
    latent_shape: tuple[int, int, int, int] = (3, 20, 28, 20)
    scale_factor: float = 1.0
    files: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_bundle(folder: Path) -> Bundle:
    """Read the config of a bundle and find its weights; no tensor is read.

    Raises
    ------
    CheckpointError
        If weights are missing (with their address and their place), or the config
        says something that is not understood.
    """
    folder = Path(folder)
    files = {part: _find_weights(folder, part) for part in PUBLISHED}
    path = next((p for n in _CONFIGS if (p := folder / "configs" / n).is_file()), None)
    if path is None:
        note = f"'{folder}' has no configs/inference.json: published settings are used."
        return Bundle(folder, files=files, notes=(note,))
    config = _read_config(path)
    bundle = Bundle(
        folder,
        _definition(path, config, "autoencoder_def", AutoencoderDefinition),
        _definition(path, config, "diffusion_def", DiffusionDefinition),
        _definition(path, config, "scheduler", SchedulerDefinition),
        _latent_shape(path, config),
        _scale_factor(path, config),
        files,
    )
    _check_channels(path, bundle)
    return bundle


def _find_weights(folder: Path, part: str) -> Path:
    """Return the file of a network, under one of its usual names."""
    models = folder / "models"
    for stem in _STEMS[part]:
        for suffix in _SUFFIXES:
            if (path := models / f"{stem}{suffix}").is_file():
                return path
    name, url, md5 = PUBLISHED[part]
    raise CheckpointError(
        f"The weights of the {part} are not in '{models}'. Download {url} and save it "
        f"as '{models / name}' (its published MD5 is {md5}), or fetch the whole "
        f"bundle: python -m monai.bundle download {NAME} --bundle_dir FOLDER, and "
        f"give FOLDER/{NAME}. Page of the authors: {PAGE}."
    )


def _read_config(path: Path) -> dict[str, Any]:
    if path.suffix != ".json":
        try:
            return read_yaml(path)
        except ConfigError as error:
            raise CheckpointError(str(error)) from None
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Cannot read '{path}' as JSON: {error}.") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"'{path}' must hold a JSON object.")
    return config


def _definition(path: Path, config: Mapping[str, Any], key: str, kind: type[C]) -> C:
    """Read the arguments of a network; the published ones where there are none."""
    given = config.get(key, {})
    if not isinstance(given, Mapping):
        raise _not_understood(path, key, given)
    values = {name: _plain(path, config, key, name, one) for name, one in given.items()}
    target = str(values.pop("_target_", ""))
    wanted = _TARGETS[key]
    if target and target.rpartition(".")[2] != wanted:
        raise CheckpointError(
            f"'{path}': {key} is a '{target}', and only MONAI's {wanted} can be used."
        )
    values = {name: one for name, one in values.items() if not name.startswith("_")}
    if "num_channels" in values:  # as MONAI Generative called them
        values["channels"] = values.pop("num_channels")
    for unused in ("use_checkpointing", "use_checkpoint", "use_flash_attention"):
        values.pop(unused, None)  # speed and memory; the numbers are the same
    try:
        return kind.parse(values, f"'{path}', {key}")
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def _plain(path: Path, config: Mapping[str, Any], key: str, name: str, one: Any) -> Any:
    """Return a value; ``@name`` stands for a plain value at the top of the config."""
    if name.startswith("_") and name != "_target_":
        return None  # what else must be done first, which is not our way
    if isinstance(one, list):
        return [_plain(path, config, key, name, part) for part in one]
    if isinstance(one, str):
        found = _REFERENCE.fullmatch(one)
        if found and found[1] in config:
            one = config[found[1]]
        if isinstance(one, str) and one.startswith(("$", "@", "%")):
            raise _not_understood(path, f"{key}.{name}", one)
    return one


def _latent_shape(path: Path, config: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Read the shape of the noise from its expression, without running it."""
    if (given := config.get("noise")) is None:
        return Bundle.latent_shape
    found = _NOISE.fullmatch(given) if isinstance(given, str) else None
    edges = [int(edge) for edge in found[1].split(",")] if found else []
    if len(edges) != 5 or edges[0] != 1 or not all(0 < edge <= 512 for edge in edges):
        raise _not_understood(path, "noise", given)
    return (edges[1], edges[2], edges[3], edges[4])


def _scale_factor(path: Path, config: Mapping[str, Any]) -> float:
    given = config.get("scale_factor", 1.0)
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise _not_understood(path, "scale_factor", given)
    return float(given)


def _check_channels(path: Path, bundle: Bundle) -> None:
    """Check that noise, networks and the four conditions fit each other."""
    latent, unet = bundle.latent_shape[0], bundle.diffusion
    if (
        latent == bundle.autoencoder.latent_channels == unet.out_channels
        and unet.in_channels == latent + unet.cross_attention_dim
        and unet.with_conditioning
    ):
        return
    raise CheckpointError(
        f"'{path}': the networks do not fit. The noise has {latent} channels, the "
        f"autoencoder {bundle.autoencoder.latent_channels}; the diffusion takes "
        f"{unet.in_channels} and gives {unet.out_channels}. It must take the noise "
        "and the four conditions (sex, age, volumes of ventricles and brain), as "
        "channels and by cross-attention, and give the noise."
    )


def _not_understood(path: Path, key: str, given: object) -> CheckpointError:
    return CheckpointError(
        f"'{path}': {key} is {given!r}, which is not understood. Expressions in a "
        "bundle are never run; write the plain value in its place."
    )
