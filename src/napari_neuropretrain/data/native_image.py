"""Write voxels back as an image like the one they came from: header, type, scaling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.data.image_files import IMAGE_SUFFIXES, save_image
from napari_neuropretrain.errors import ImageError

_MGH_TYPES = (np.uint8, np.int16, np.int32, np.float32)
_WHOLE_TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64)
_SCANNER = 1
_CLOSE = 1e-3


@dataclass(frozen=True, eq=False)
class Stored:
    """Voxels as a file holds them, and how they become values.

    Parameters
    ----------
    voxels
        (I, J, K), in the type of the file.
    slope, inter
        Value = slope * voxel + inter.
    """

    voxels: NDArray[Any]
    slope: float = 1.0
    inter: float = 0.0


def write_like(
    path: Path,
    values: NDArray[Any],
    affine: ArrayLike,
    header: Any = None,
    source: Path | None = None,
) -> Path:
    """Write an image that is either whole or not there at all.

    The type of voxels and their scaling are those of the header, where they can hold
    the values. Voxels that are still those of `source` are taken from there as
    they are, so that not a bit is lost by their time as float32.

    Parameters
    ----------
    path
        Ends with ``.nii``, ``.nii.gz``, ``.mgh`` or ``.mgz``; missing folders are made.
    values
        (I, J, K) in the voxel order of `affine`.
    affine
        Voxel to RAS mm (4, 4).
    header
        Of the image they came from, or None.
    source
        That image, or None.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    ImageError
        If the name ends otherwise, there are not three axes, or it cannot be written.
    """
    name = path.name.lower()
    if not name.endswith(IMAGE_SUFFIXES):
        allowed = ", ".join(IMAGE_SUFFIXES)
        raise ImageError(f"'{path}' must end with one of {allowed} to be written.")
    if values.ndim != 3:
        raise ImageError(
            f"An array of shape {values.shape} is no volume: it must have three axes."
        )
    stored = _as_before(values, header, source) or _as_stored(values, header)
    make = _mgh_image if name.endswith((".mgh", ".mgz")) else _nifti_image
    image = make(values, stored, np.asarray(affine, dtype=float), header)
    try:
        save_image(image, path)
    except OSError as error:
        raise ImageError(
            f"'{path}' cannot be written ({error.strerror or error}). Give a folder "
            "that you may write to, with some space left."
        ) from None
    return path


def _as_before(values: NDArray[Any], header: Any, source: Path | None) -> Stored | None:
    """Return the file's own voxels, if these values are still what it holds."""
    if header is None or source is None or not source.is_file():
        return None
    try:
        proxy: Any = nib.load(source, mmap=False).dataobj  # type: ignore[attr-defined]
        voxels = np.asarray(proxy.get_unscaled())
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
        return None
    if voxels.size != values.size or voxels.shape[:3] != values.shape:
        return None
    if voxels.dtype != header.get_data_dtype():
        return None  # another file lies there by now
    voxels = voxels.reshape(values.shape)
    stored = Stored(voxels, float(proxy.slope), float(proxy.inter))
    with np.errstate(over="ignore", invalid="ignore"):
        again = voxels.astype(np.float32)
        if stored.slope != 1:
            again *= np.float32(stored.slope)
        if stored.inter != 0:
            again += np.float32(stored.inter)
    return stored if np.array_equal(again, values, equal_nan=True) else None


def _as_stored(values: NDArray[Any], header: Any) -> Stored:
    """Return values in the type and scaling of the header, or in one that holds them.

    Examples
    --------
    >>> _as_stored(np.array([[[0.0, 1.5]]]), None).voxels.dtype
    dtype('float32')
    """
    if header is None:
        return Stored(_smallest(values))
    kind = np.dtype(header.get_data_dtype())
    slope, inter = _scaling(header)
    if kind.kind == "f" and (slope, inter) == (1.0, 0.0):
        return Stored(values.astype(kind))
    if kind.kind in "iu":
        exact = (np.asarray(values, dtype=float) - inter) / slope
        whole = np.rint(exact)
        limits = np.iinfo(kind)
        fits = whole.min() >= limits.min and whole.max() <= limits.max
        if np.isfinite(exact).all() and fits and np.abs(whole - exact).max() < _CLOSE:
            return Stored(whole.astype(kind), slope, inter)
    return Stored(_smallest(values))


def _scaling(header: Any) -> tuple[float, float]:
    """Return slope and intercept of a header; those of MGH are 1 and 0."""
    if not isinstance(header, nib.Nifti1Header):
        return 1.0, 0.0
    slope, inter = header.get_slope_inter()
    return float(slope or 1.0), float(inter or 0.0)


def _smallest(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in a type that every program reads: float32, or a small integer."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iu":
        return values.astype(np.float32)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for kind in _WHOLE_TYPES:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values


def _nifti_image(
    values: NDArray[Any], stored: Stored, affine: NDArray[Any], header: Any
) -> Any:
    """Return a NIfTI with the header of before, as far as it still says the truth."""
    known = isinstance(header, nib.Nifti1Header)
    new = header.copy() if known else nib.Nifti1Header()
    new.set_data_dtype(stored.voxels.dtype)
    voxels = stored.voxels
    if known and len(header.get_data_shape()) > 3:
        voxels = voxels.reshape(*voxels.shape, *header.get_data_shape()[3:])
    same = known and np.allclose(header.get_best_affine(), affine, atol=1e-6)
    two = isinstance(header, nib.Nifti2Header)
    kind: Any = nib.Nifti2Image if two else nib.Nifti1Image
    # With None, both forms and their codes stay as they are, to the last bit.
    image = kind(voxels, None if same else affine, new)
    if not same:
        image.set_sform(affine, _SCANNER if not known else int(new["sform_code"]) or 1)
        image.set_qform(affine, _SCANNER if not known else int(new["qform_code"]) or 1)
        image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(stored.slope, stored.inter)
    return image


def _mgh_image(
    values: NDArray[Any], stored: Stored, affine: NDArray[Any], header: Any
) -> Any:
    """Return an MGH image; it has few types of voxels, and no scaling."""
    known = isinstance(header, MGHHeader)
    plain = (stored.slope, stored.inter) == (1.0, 0.0)
    voxels = stored.voxels if plain else values.astype(np.float32)
    if voxels.dtype.newbyteorder("=") not in _MGH_TYPES:
        smaller = _smallest(voxels)
        voxels = smaller if smaller.dtype in _MGH_TYPES else voxels.astype(np.float32)
    new = header.copy() if known else None
    if new is not None:
        new.set_data_dtype(voxels.dtype)
    same = known and np.allclose(header.get_affine(), affine, atol=1e-4)
    return nib.MGHImage(voxels, header.get_affine() if same else affine, new)
