"""A small picture of a scan: one axial slice, kept on disk once it was made."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.pulled import cache_folder
from napari_neuropretrain.data.orientation import spacing_of, to_canonical
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import NeuropretrainError

EDGE = 64
"""Pixels."""
_HEIGHT = 0.58
"""Where to cut, from the lowest to the highest slice; above the eyes in most scans."""

Picture = NDArray[np.uint8]


def thumbnail(path: Path) -> Picture:
    """Return the picture of a scan, from the cache if it was made before.

    Parameters
    ----------
    path
        Image file or DICOM folder.

    Returns
    -------
    numpy.ndarray
        uint8 (EDGE, EDGE): front up, the person's right on the right. All 0 where the
        scan cannot be read.
    """
    place = _cache_file(path)
    try:
        known = np.load(place)
        if known.shape == (EDGE, EDGE) and known.dtype == np.uint8:
            found: Picture = known
            return found
    except (OSError, ValueError, EOFError):
        pass
    picture = _make(path)
    _keep(place, picture)
    return picture


def picture_of(data: NDArray[Any], spacing_mm: tuple[float, ...]) -> Picture:
    """Cut an axial slice, square and with true proportions.

    Parameters
    ----------
    data
        (X, Y, Z) in RAS order.
    spacing_mm
        Voxel size along x, y and z.
    """
    x, y, z = data.shape
    across = np.asarray(data[:, :, min(int(z * _HEIGHT), z - 1)], dtype=np.float32)
    step = max(x * spacing_mm[0], y * spacing_mm[1]) / EDGE
    ticks = (np.arange(EDGE) + 0.5 - EDGE / 2) * step
    columns = np.rint(ticks / spacing_mm[0] + (x - 1) / 2).astype(int)
    rows = np.rint(ticks[::-1] / spacing_mm[1] + (y - 1) / 2).astype(int)
    inside = np.outer((rows >= 0) & (rows < y), (columns >= 0) & (columns < x))
    sampled = across[np.ix_(columns.clip(0, x - 1), rows.clip(0, y - 1))].T
    brain = sampled[inside & np.isfinite(sampled) & (sampled != 0)]
    # Around a z-scored brain is 0, which is the grey of its middle.
    darkest = float(brain.min()) if brain.size else 0.0
    shown = np.where(inside & np.isfinite(sampled) & (sampled != 0), sampled, darkest)
    low, high = (float(v) for v in np.percentile(shown, (1, 99.5)))
    scaled = (shown - low) / max(high - low, 1e-6)
    return (scaled.clip(0, 1) * 255).astype(np.uint8)


def _make(path: Path) -> Picture:
    try:
        if path.is_dir():
            volume = read_volume(path)
            return picture_of(volume.data, volume.spacing_mm)
        image: Any = nib.load(path)
        # Unscaled, as stored: a picture needs no more, and it takes half the time.
        voxels = image.dataobj.get_unscaled()
        voxels = voxels.reshape(voxels.shape[:3])
        data, affine = to_canonical(voxels, np.asarray(image.affine, dtype=float))
        return picture_of(data, spacing_of(affine))
    except (
        NeuropretrainError,
        OSError,
        EOFError,
        ValueError,
        IndexError,
        zlib.error,
        nib.filebasedimages.ImageFileError,
    ):
        return np.zeros((EDGE, EDGE), np.uint8)


def _cache_file(path: Path) -> Path:
    """Return where the picture is kept; another one for a file that was changed."""
    try:
        status = path.stat()
        state = f"{status.st_mtime_ns} {status.st_size}"
    except OSError:
        state = ""
    key = hashlib.sha1(f"{path.absolute()} {state} {EDGE}".encode()).hexdigest()
    return cache_folder().parent / "thumbnails" / f"{key}.npy"


def _keep(place: Path, picture: Picture) -> None:
    """Write a picture; a cache that cannot be written only costs time."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{id(picture)}.tmp.npy")
        np.save(partial, picture)
        partial.replace(place)
    except OSError:
        return
