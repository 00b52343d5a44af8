"""NIfTI and MGH/MGZ files: what the header says, the voxels, and how to write one."""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
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

_HEADER_BYTES = 284
"""Length of the shortest header, that of MGH."""

# What nibabel raises while it makes sense of arbitrary bytes.
_UNREADABLE = (
    OSError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    MGHError,
    ValueError,
    KeyError,
    OverflowError,
)


def open_image(path: Path) -> SpatialImage:
    """Open a file and check its header; no voxel is read.

    Raises
    ------
    ImageError
        If it is not an image, or the header and the file contradict each other.
    """
    try:
        _read_start(path)
        # Absurd numbers are refused below; numpy need not warn about them too.
        with np.errstate(all="ignore"):
            image = _open_mgh(path) if _is_mgh(path) else nib.load(path, mmap=False)
        raw_spacing = _raw_spacing(path, image)
    except EOFError:
        raise ImageError(
            f"The file '{path}' ends inside its header. The copy or download was "
            "interrupted; do it again."
        ) from None
    except _UNREADABLE as error:
        raise ImageError(
            f"'{path}' is not a readable {_kind(path)} file ({error}). Check "
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


def _read_start(path: Path) -> None:
    """Raise EOFError for a file that is cut inside its header."""
    with nib.openers.ImageOpener(str(path), "rb") as stream:
        if len(stream.read(_HEADER_BYTES)) < _HEADER_BYTES:
            raise EOFError


def _open_mgh(path: Path) -> SpatialImage:
    """Open an MGH file as nibabel does, but close it again."""
    with nib.openers.ImageOpener(str(path), "rb") as stream:
        header = nib.MGHImage.header_class.from_fileobj(stream)
    voxels = nib.MGHImage.ImageArrayProxy(str(path), header.copy(), mmap=False)
    return nib.MGHImage(voxels, header.get_affine(), header)


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


def _is_mgh(path: Path) -> bool:
    return path.name.lower().endswith((".mgh", ".mgz"))


def _kind(path: Path) -> str:
    return "MGH" if _is_mgh(path) else "NIfTI"


def save_image(image: SpatialImage, path: Path) -> None:
    """Write an image of nibabel, whole or not at all; the name says in which format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        nib.save(image, partial)
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
