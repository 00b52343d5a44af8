"""Open a NIfTI or MGH/MGZ file: first all that its header says, then the voxels."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, SpatialImage
from numpy.typing import NDArray

from napari_neuropretrain.data.image_checks import (
    check_affine,
    check_holds,
    check_shape,
    check_spacing,
    check_voxel_type,
)
from napari_neuropretrain.errors import ImageError

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mgh", ".mgz")
"""Names of single-file volumes, in lower case."""


def open_image(path: Path) -> SpatialImage:
    """Open a file and check its header; no voxel is read.

    Raises
    ------
    ImageError
        If it is not an image, or the header and the file contradict each other.
    """
    try:
        image = nib.load(path, mmap=False)
        raw_spacing = _raw_spacing(path, image)
    except EOFError:
        raise ImageError(
            f"The file '{path}' ends inside its header. The copy or download was "
            "interrupted; do it again."
        ) from None
    except (OSError, zlib.error, ImageFileError, HeaderDataError, ValueError) as error:
        raise ImageError(
            f"'{path}' is not a readable {_format_name(path)} file ({error}). Check "
            "that it is what its name says, or copy it again."
        ) from None
    if not isinstance(image, SpatialImage):
        raise ImageError(f"'{path}' does not hold voxels. Give a T1-weighted volume.")
    check_shape(path, image.shape)
    check_voxel_type(path, image.get_data_dtype())
    check_spacing(path, raw_spacing)
    check_affine(path, np.asarray(image.affine, dtype=float))
    bytes_each = image.get_data_dtype().itemsize
    voxels = math.prod(int(edge) for edge in image.shape)
    stored: Any = image.dataobj
    check_holds(path, int(stored.offset) + voxels * bytes_each)
    return image


def _raw_spacing(path: Path, image: Any) -> tuple[float, ...]:
    """Return voxel sizes as stored; nibabel repairs bad ones while loading."""
    header = type(image.header)
    if not isinstance(image, nib.Nifti1Pair):
        return tuple(float(size) for size in image.header["delta"])
    with nib.openers.ImageOpener(str(path), "rb") as stream:
        raw = header.from_fileobj(stream, check=False)
    return tuple(float(size) for size in raw["pixdim"][1:4])


def read_voxels(
    path: Path, image: Any
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return scaled float32 voxels (I, J, K) and voxel to RAS mm (4, 4).

    Raises
    ------
    ImageError
        If the voxels cannot be read after all.
    """
    stored = image.dataobj
    try:
        voxels = stored.get_unscaled()
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ImageError(
            f"The voxels of '{path}' cannot be read ({error}). Copy it again."
        ) from None
    # Values beyond float32 become infinite here, and are refused afterwards.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = voxels.reshape(voxels.shape[:3]).astype(np.float32)
        # nibabel would scale in float64, which doubles the memory.
        if stored.slope != 1:
            scaled *= np.float32(stored.slope)
        if stored.inter != 0:
            scaled += np.float32(stored.inter)
    return scaled, np.asarray(image.affine, dtype=float)


def unoriented_note(path: Path, image: SpatialImage) -> tuple[str, ...]:
    """Return a note when a NIfTI file has neither sform nor qform."""
    if not isinstance(image, nib.Nifti1Pair):
        return ()
    if int(image.header["sform_code"]) or int(image.header["qform_code"]):
        return ()
    return (
        f"'{path}' does not say how it is oriented (sform and qform codes are 0); "
        "it is taken as LAS, so left and right may be swapped. Convert it again "
        "from DICOM if that matters.",
    )


def _format_name(path: Path) -> str:
    return "MGH" if path.name.lower().endswith((".mgh", ".mgz")) else "NIfTI"
