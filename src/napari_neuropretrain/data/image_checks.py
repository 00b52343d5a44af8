"""Checks that a file really holds one usable volume, before any of it is read.

A damaged or hostile header can claim terabytes. So the claim is compared with
what the file holds, without keeping the voxels, before an array is made.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.errors import ImageError

MAX_VOXELS = 2**28
"""Twice 512^3: four times a 0.5 mm whole head, 1 GiB as float32."""
MIN_EDGE = 4
"""A localiser or single slice has fewer voxels along one axis."""
GZIP_MAX_RATIO = 1032
"""The most that deflate can shrink (zlib's technical notes)."""

_CHUNK = 1 << 20


def check_file(path: Path) -> None:
    """Refuse a path that is missing, or a file of no bytes.

    Raises
    ------
    ImageError
        Naming the path and what to do.
    """
    if not path.exists():
        raise ImageError(f"There is no file '{path}'. Check the path.")
    if path.stat().st_size == 0:
        raise ImageError(
            f"The file '{path}' is empty (0 bytes). Copy or download it again."
        )


def check_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the three edges of a volume, or say why it is not one.

    Parameters
    ----------
    path
        Named in the error.
    shape
        As the header gives it; trailing axes of length 1 are dropped.

    Raises
    ------
    ImageError
        For a time series, a flat image, an absurd size.
    """
    shape = tuple(int(edge) for edge in shape)
    if any(edge < 1 for edge in shape):
        raise ImageError(
            f"The header of '{path}' is damaged: its shape is {shape}. "
            "Convert the scan from DICOM again."
        )
    extra = math.prod(shape[3:])
    if extra > 1:
        raise ImageError(
            f"'{path}' has shape {shape}: {extra} volumes, but one is needed. "
            "A time series is not a T1-weighted scan; otherwise save one volume "
            "of it as its own file."
        )
    if len(shape) < 3 or min(shape[:3]) < MIN_EDGE:
        raise ImageError(
            f"'{path}' has shape {shape}, which is not a 3D volume. Every axis "
            f"needs at least {MIN_EDGE} voxels; give the whole T1-weighted volume."
        )
    if math.prod(shape) > MAX_VOXELS:
        raise ImageError(
            f"The header of '{path}' claims shape {shape}, "
            f"{math.prod(shape):,} voxels; at most {MAX_VOXELS:,} are read. "
            "Resample the scan to 0.5 mm or coarser, or convert it again if the "
            "header is damaged."
        )
    return shape[0], shape[1], shape[2]


def check_voxel_type(path: Path, dtype: np.dtype[Any]) -> None:
    """Refuse colour, complex and other voxels that are not one real number.

    Raises
    ------
    ImageError
        Naming the voxel type.
    """
    if dtype.kind in "iuf":
        return
    kind = {"c": "complex", "V": "colour (RGB)"}.get(dtype.kind, str(dtype))
    raise ImageError(
        f"'{path}' has {kind} voxels; one real number per voxel is needed. "
        "Save the magnitude image as integers or floats."
    )


def check_affine(path: Path, affine: NDArray[np.float64]) -> None:
    """Refuse an affine that cannot map voxels to mm.

    Raises
    ------
    ImageError
        If it holds NaN or infinity, or is singular.
    """
    advice = "Convert the scan from DICOM again, or repair its header."
    if not np.isfinite(affine).all():
        raise ImageError(
            f"The orientation matrix of '{path}' holds NaN or infinity. {advice}"
        )
    with np.errstate(over="ignore"):
        sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    # The determinant of the unit axes does not depend on the voxel size.
    if not sizes.all() or abs(np.linalg.det(affine[:3, :3] / sizes)) < 1e-3:
        raise ImageError(
            f"The orientation matrix of '{path}' is singular (voxel sizes "
            f"{', '.join(f'{size:g}' for size in sizes)} mm). {advice}"
        )


def check_spacing(path: Path, spacing_mm: tuple[float, ...]) -> None:
    """Refuse voxel sizes that are zero, negative or not numbers.

    Raises
    ------
    ImageError
        Naming the three values.
    """
    if all(math.isfinite(size) and size > 0 for size in spacing_mm):
        return
    raise ImageError(
        f"The header of '{path}' gives voxel sizes of "
        f"{', '.join(f'{size:g}' for size in spacing_mm)} mm; all must be positive. "
        "Convert the scan from DICOM again, or repair its header."
    )


def check_holds(path: Path, claimed: int) -> None:
    """Refuse a file with fewer bytes than its header claims.

    Parameters
    ----------
    path
        Plain, or gzip when the name ends with ``.gz`` or ``.mgz``.
    claimed
        Bytes of header and voxels, uncompressed.

    Raises
    ------
    ImageError
        If the file is cut short, or damaged inside.
    """
    size = path.stat().st_size
    holds = f"{size:,}"
    if path.name.lower().endswith((".gz", ".mgz")):
        size *= GZIP_MAX_RATIO
        holds = f"{size:,} at most"
        # Counting takes time, so only a claim that is possible is counted.
        if size >= claimed:
            size = _uncompressed_size(path)
            holds = f"{size:,}"
    if size < claimed:
        raise ImageError(
            f"The header of '{path}' claims {claimed:,} bytes, but the file holds "
            f"{holds}. It is cut short or damaged; copy or download it again."
        )


def _uncompressed_size(path: Path) -> int:
    """Count what a gzip file holds, reading to its end so that its CRC is checked."""
    size = 0
    try:
        with gzip.open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
    except EOFError:
        raise ImageError(
            f"The compressed file '{path}' ends too early. The copy or download "
            "was interrupted; do it again."
        ) from None
    except (OSError, zlib.error) as error:
        raise ImageError(
            f"The compressed file '{path}' is damaged ({error}). Copy or download "
            "it again."
        ) from None
    return size


def check_intensities(path: Path, data: NDArray[np.float32]) -> None:
    """Refuse voxels that hold no picture.

    Raises
    ------
    ImageError
        If any is NaN or infinite, or all are equal.
    """
    bad = data.size - int(np.count_nonzero(np.isfinite(data)))
    if bad:
        raise ImageError(
            f"'{path}' has {bad:,} voxels that are NaN or infinite. Replace them, "
            "for example by 0 outside the head, and save the scan again."
        )
    lowest, highest = float(data.min()), float(data.max())
    if lowest == highest:
        raise ImageError(
            f"'{path}' is empty: every voxel is {lowest:g}. Export the scan again."
        )
