"""One T1-weighted volume in memory, read from NIfTI, MGH/MGZ or DICOM."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.data.dicom import is_dicom_folder, read_dicom_folder
from napari_neuropretrain.data.image_checks import (
    check_affine,
    check_file,
    check_intensities,
)
from napari_neuropretrain.data.image_files import (
    IMAGE_SUFFIXES,
    open_image,
    read_voxels,
    save_image,
    unoriented_note,
)
from napari_neuropretrain.data.orientation import (
    from_canonical,
    spacing_of,
    to_canonical,
)
from napari_neuropretrain.errors import ImageError


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan in closest canonical RAS order.

    Parameters
    ----------
    data
        float32 voxels (X, Y, Z); the axes run to the right, front and top.
    affine
        Voxel to RAS mm (4, 4) of `data`.
    path
        File or DICOM folder it came from, if any.
    native_affine
        Voxel to RAS mm (4, 4) of the file's own voxel order.
    native_shape
        Edges in the file's own voxel order.
    notes
        Sentences a person should read, for example that nothing says how the scan lies.
    """

    data: NDArray[np.float32]
    affine: NDArray[np.float64]
    path: Path | None
    native_affine: NDArray[np.float64]
    native_shape: tuple[int, int, int]
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def from_native(
        cls,
        voxels: NDArray[Any],
        native_affine: ArrayLike,
        path: Path | None = None,
        notes: tuple[str, ...] = (),
    ) -> Volume:
        """Make a volume of voxels (I, J, K) in any order.

        Examples
        --------
        >>> las = np.diag([-1.0, 1.0, 1.0, 1.0])
        >>> volume = Volume.from_native(np.arange(24.0).reshape(2, 3, 4), las)
        >>> float(volume.data[0, 0, 0]), volume.affine[0, 0].item()
        (12.0, 1.0)
        """
        native = np.asarray(native_affine, dtype=float)
        data, affine = to_canonical(voxels, native)
        i, j, k = voxels.shape
        ras = np.ascontiguousarray(data, dtype=np.float32)
        return cls(ras, affine, path, native, (i, j, k), notes)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size in mm along x, y, z."""
        return spacing_of(self.affine)

    def to_native(self, array: NDArray[Any]) -> NDArray[Any]:
        """Put an array on this volume's grid into the file's own voxel order.

        Parameters
        ----------
        array
            Any array (X, Y, Z) of the shape of `data`, for example a mask.

        Raises
        ------
        ImageError
            If the shapes differ.
        """
        if array.shape != self.data.shape:
            raise ImageError(
                f"An array of shape {array.shape} does not lie on the grid of "
                f"'{self.path}', which is {self.data.shape}."
            )
        return np.ascontiguousarray(from_canonical(array, self.native_affine))


def read_volume(path: str | os.PathLike[str]) -> Volume:
    """Read one T1-weighted scan.

    Parameters
    ----------
    path
        A NIfTI or MGH/MGZ file, or a folder with the slices of one DICOM series.

    Returns
    -------
    Volume
        float32 in closest canonical RAS order. A fourth axis of length 1 is dropped.

    Raises
    ------
    ImageError
        If it is not one usable 3D volume; names the path and what to do.
    """
    path = Path(path)
    check_file(path)
    if path.is_dir():
        if not is_dicom_folder(path):
            raise ImageError(
                f"The folder '{path}' holds no DICOM slices. Give an image file "
                f"({', '.join(IMAGE_SUFFIXES)}) or the folder of one DICOM series."
            )
        voxels, affine = read_dicom_folder(path)
        return _finish(path, voxels, affine, ())
    if not path.name.lower().endswith(IMAGE_SUFFIXES):
        raise ImageError(
            f"'{path}' is not a file type that is read here. Allowed: "
            f"{', '.join(IMAGE_SUFFIXES)}, or a folder of DICOM slices."
        )
    image = open_image(path)
    voxels, affine = read_voxels(path, image)
    return _finish(path, voxels, affine, unoriented_note(path, image))


def write_image(
    path: str | os.PathLike[str], array: NDArray[Any], affine: ArrayLike
) -> Path:
    """Write a NIfTI file that is either whole or not there at all.

    Parameters
    ----------
    path
        Ends with ``.nii`` or ``.nii.gz``; missing folders are made.
    array
        Voxels (X, Y, Z). float64 is stored as float32, bool as uint8.
    affine
        Voxel to RAS mm (4, 4), stored as both sform and qform.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    ImageError
        If the name does not end with ``.nii`` or ``.nii.gz``.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ImageError(f"'{path}' must end with .nii or .nii.gz to be written.")
    smaller = {"f": np.float32, "b": np.uint8}.get(array.dtype.kind, array.dtype)
    image = nib.Nifti1Image(np.asarray(array, dtype=smaller), np.asarray(affine))
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    save_image(image, path)
    return path


def _finish(
    path: Path,
    voxels: NDArray[Any],
    affine: NDArray[np.float64],
    notes: tuple[str, ...],
) -> Volume:
    check_affine(path, affine)
    volume = Volume.from_native(voxels, affine, path, notes)
    check_intensities(path, volume.data)
    return volume
