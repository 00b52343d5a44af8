"""Files of a volume that a source made: like those of a preprocessed scan."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.data.template import template_grid
from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.preprocessing.derivatives import (
    MASK_SUFFIX,
    derivative_path,
    read_sidecar,
    remove_derivative,
    sidecar,
)

PACKAGES = ("numpy", "scipy", "nibabel", "monai", "torch")


@dataclass(frozen=True, eq=False)
class PlannedVolume:
    """One volume to write.

    Parameters
    ----------
    index
        Number in the source.
    scan
        Participant and labels; its path is where the image belongs.
    contract
        How the volume counts as preprocessed.
    source
        Provenance: name and options of the source, seed, number. Plain values.
    """

    index: int
    scan: Scan
    contract: PreprocessingContract
    source: dict[str, Any]

    @classmethod
    def at(
        cls,
        output: Path,
        index: int,
        scan: Scan,
        contract: PreprocessingContract,
        source: dict[str, Any],
    ) -> PlannedVolume:
        """Plan a volume whose files belong below `output`."""
        path = derivative_path(output, scan)
        placed = Scan(scan.participant, scan.session, path, scan.row)
        plain: dict[str, Any] = json.loads(json.dumps(source))
        return cls(index, placed, contract, plain)

    @property
    def mask_path(self) -> Path:
        """Where the brain mask belongs."""
        image = self.scan.path
        stem = image.name.removesuffix(PREPROCESSED_SUFFIX)
        return image.with_name(stem + MASK_SUFFIX)

    def is_there(self) -> bool:
        """Tell whether all its files lie there, however they were made."""
        paths = (self.scan.path, self.mask_path, sidecar(self.scan.path))
        return all(path.exists() for path in paths)

    def is_written(self) -> bool:
        """Tell whether it lies there, made in the same way."""
        try:
            notes = read_sidecar(self.scan.path)
        except ImageError:
            return False
        return (
            self.is_there()
            and notes.get("Contract") == self.contract.model_dump(mode="json")
            and notes.get("Source") == self.source
        )

    def remove(self) -> None:
        """Take away all its files, also half-written ones, and folders left empty."""
        folder = self.scan.path.parent
        if not folder.is_dir():
            return
        remove_derivative(self.scan.path)
        for path in (self.mask_path, sidecar(self.mask_path)):
            path.unlink(missing_ok=True)
        above = folder.parents[: 2 if self.scan.session else 1]
        with suppress(OSError):  # not empty: somebody else's files
            for empty in (folder, *above):
                empty.rmdir()

    def write(self, image: NDArray[np.float32]) -> None:
        """Write image, brain mask and sidecars, that of the image last.

        Parameters
        ----------
        image
            float32 (X, Y, Z) on the contract's grid; 0 outside the brain.

        Raises
        ------
        ImageError
            If it has another shape, one single value, or values that are no numbers.
        """
        mask = self._check(image)
        affine = template_grid(self.contract.shape, self.contract.spacing_mm)
        remove_derivative(self.scan.path)
        write_image(self.mask_path, mask.astype(np.uint8), affine)
        write_notes(self.mask_path, {"Type": "Brain", "Source": self.source})
        write_image(self.scan.path, image, affine)
        voxel_ml = float(np.prod(spacing_of(affine))) / 1000
        versions = {name: version(name) for name in PACKAGES}
        notes = {
            "SkullStripped": True,
            "Contract": self.contract.model_dump(mode="json"),
            "Source": self.source,
            "Transform": np.eye(4).tolist(),
            "Quality": {"mask_ml": round(float(mask.sum()) * voxel_ml, 1)},
            "Versions": {"napari-neuropretrain": __version__} | versions,
        }
        write_notes(self.scan.path, notes)

    def _check(self, image: NDArray[np.float32]) -> NDArray[np.bool_]:
        if image.shape != self.contract.shape:
            raise ImageError(
                f"Volume {self.index} has {image.shape} voxels; the source promises "
                f"{self.contract.shape}."
            )
        mask = np.asarray(image != 0)
        if np.ptp(image) == 0 or not np.isfinite(image).all():
            raise ImageError(
                f"Volume {self.index} has one single value, or values that are not "
                "numbers."
            )
        return mask


def write_notes(of: Path, notes: dict[str, Any]) -> None:
    """Write the JSON that belongs to a file."""
    write_text(sidecar(of), json.dumps(notes, indent=2, ensure_ascii=False) + "\n")
