"""The source ``latent_diffusion``: T1s drawn by MONAI's published brain model.

The model draws whole heads, rigidly aligned, in 1 mm voxels. They go through the same
preprocessing as scans: brain mask, bias field, registration, z-score; so they keep the
same contract.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.sources import LatentDiffusionOptions
from napari_neuropretrain.data.unpacked import UnpackedVolumes
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.errors import (
    BrainMaskError,
    CohortError,
    ImageError,
    RegistrationError,
)
from napari_neuropretrain.preprocessing.pipeline import preprocess_scan
from napari_neuropretrain.progress import Failure, Progress, Report, silent
from napari_neuropretrain.synthesis.latent_bundle import Bundle, read_bundle
from napari_neuropretrain.synthesis.latent_conditions import SEXES, draw_conditions
from napari_neuropretrain.synthesis.latent_diffusion import draw_head
from napari_neuropretrain.synthesis.latent_networks import (
    LatentNetworks,
    build_scheduler,
    fingerprints,
    load_networks,
)
from napari_neuropretrain.weights.device import find_device

_NUMBERS = ("age", "ventricular_volume", "brain_volume")


class LatentDiffusionSource:
    """Heads drawn by a latent diffusion model and preprocessed; see `VolumeSource`.

    A volume follows from the seed and its number alone, and is the same on each
    device up to rounding. The networks are loaded when the first volume is drawn.

    Parameters
    ----------
    bundle
        Definitions and files of the networks.
    options
        How many, of whom, the grid, the seed and the device.
    report
        Hears of each denoising step; may raise `Cancelled`. Left behind when the
        source travels to another process.
    """

    failures: tuple[Failure, ...] = ()
    label_names = ("age", "sex", "ventricular_volume", "brain_volume")

    def __init__(
        self, bundle: Bundle, options: LatentDiffusionOptions, report: Report = silent
    ) -> None:
        self.bundle = bundle
        self.conditions = draw_conditions(options)
        self.shape = options.shape
        self.ids = tuple(
            f"sub-ldm{options.seed}n{one.index + 1:06d}" for one in self.conditions
        )
        self._contract = PreprocessingContract(
            shape=options.shape, spacing_mm=options.spacing_mm
        )
        self.contract: PreprocessingContract | None = self._contract
        self._options = options
        self._report = report
        self._drawn = UnpackedVolumes(options.cache, options.memory_gib)

    def __len__(self) -> int:
        return len(self.conditions)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_report": silent}

    def volume(self, index: int) -> Tensor:
        """Return a brain, float32 (1, X, Y, Z), z-scored, 0 outside.

        Raises
        ------
        ImageError
            If the model drew no brain, or one that does not fit the template.
        """
        options, condition = self._options, self.conditions[index]
        variant = f"{options.seed} {condition} {options.steps} {self._contract}"
        image = self._drawn.get(
            self.bundle.files["diffusion"], variant, lambda: self._draw(index)
        )
        return torch.from_numpy(image)[None]

    def head(self, index: int) -> Volume:
        """Return a whole head as the model drew it, before the preprocessing."""
        options, condition = self._options, self.conditions[index]

        def step(number: int, total: int) -> None:
            message = "" if number else f"Drawing volume {index}"
            self._report(Progress("step", message, number, total))

        return draw_head(
            self.bundle,
            self._networks(),
            build_scheduler(self.bundle, options.steps),
            options.seed,
            condition,
            step,
        )

    def label(self, index: int, name: str) -> float | None:
        """Return what a volume was drawn for: a number, or 0 and 1 for the sex.

        Raises
        ------
        CohortError
            If there is no such label.
        """
        words = self.classes(name)
        value = getattr(self.conditions[index], name.lower())
        return float(words.index(value)) if words else float(value)

    def classes(self, name: str) -> tuple[str, ...]:
        """Return the words of the sex, or () for numbers.

        Raises
        ------
        CohortError
            If there is no such label.
        """
        if name.lower() == "sex":
            return SEXES
        if name.lower() in _NUMBERS:
            return ()
        listed = ", ".join(repr(label) for label in self.label_names)
        raise CohortError(
            f"Volumes of the latent diffusion model have no label '{name}', only "
            f"{listed}. Give one of these."
        )

    def provenance(self) -> dict[str, Any]:
        """Return what tells the model apart from another one."""
        return {"Weights": fingerprints(self.bundle)}

    def _networks(self) -> LatentNetworks:
        """Return the networks, read again where their files changed."""
        status = [path.stat() for path in self.bundle.files.values()]
        marks = tuple((one.st_size, one.st_mtime_ns) for one in status)
        return _load(self.bundle.folder, self._options.device, marks)

    def _draw(self, index: int) -> NDArray[np.float32]:
        head, threads = self.head(index), self._options.threads
        try:
            done = preprocess_scan(head, self._contract, self._report, threads)
        except (BrainMaskError, RegistrationError) as error:
            raise ImageError(
                f"Volume {index}, drawn for {self.conditions[index]}, cannot be "
                f"preprocessed: {error}"
            ) from None
        return done.image


@lru_cache(maxsize=1)
def _load(
    folder: Path, device: str, marks: tuple[tuple[int, int], ...]
) -> LatentNetworks:
    """Keep the networks of one bundle: 2.3 GB."""
    return load_networks(read_bundle(folder), find_device(device))


def open_latent_diffusion(
    options: LatentDiffusionOptions, report: Report
) -> LatentDiffusionSource:
    """Open a bundle; the condition table is drawn, and no network is loaded yet.

    Raises
    ------
    CheckpointError
        If weights are missing, or the bundle's config is not understood.
    ConfigError
        If there are more steps than the model knows.
    DeviceError
        If the device is absent.
    """
    bundle = read_bundle(options.path)
    for note in bundle.notes:
        report(Progress("warning", note))
    find_device(options.device)
    build_scheduler(bundle, options.steps)
    return LatentDiffusionSource(bundle, options, report)
