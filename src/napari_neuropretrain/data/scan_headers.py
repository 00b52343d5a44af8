"""What the header of a scan says, read without its voxels: a millisecond each."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_neuropretrain.data.image_checks import (
    check_affine,
    check_file,
    check_shape,
    check_spacing,
)
from napari_neuropretrain.data.image_files import unoriented_note
from napari_neuropretrain.data.orientation import obliqueness_degrees
from napari_neuropretrain.errors import ImageError

_TRAILER_BYTES = 8
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Header:
    """Geometry of one scan.

    Parameters
    ----------
    shape
        Voxels along the three axes as stored; empty if it cannot be read.
    spacing_mm
        Voxel sizes along them.
    axes
        Where they run to, such as ``"RAS"`` or ``"LPS"``.
    oblique_degrees
        Angle between the axes of the file and those of the scanner.
    oriented
        Whether the file says how it lies.
    content
        Checksum and length of what is in the file, uncompressed; empty for formats
        without one. Two files with one content are copies.
    problem
        Why it cannot be used; empty if it can.
    """

    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    axes: str = ""
    oblique_degrees: float = 0.0
    oriented: bool = True
    content: str = ""
    problem: str = ""

    @property
    def extent_mm(self) -> tuple[float, ...]:
        """Field of view along the axes as stored."""
        pairs = zip(self.shape, self.spacing_mm, strict=True)
        return tuple(edge * size for edge, size in pairs)


def read_header(path: Path) -> Header:
    """Read what a file says about itself; what is wrong with it is in `problem`.

    Whether all voxels are there is not checked, since that means reading the file. A
    DICOM folder has no one header; its own problems show when it is opened.
    """
    if path.is_dir():
        return Header()
    try:
        check_file(path)
        image: Any = _open(path)
        shape = check_shape(path, image.shape)
        spacing = tuple(float(size) for size in image.header.get_zooms()[:3])
        check_spacing(path, spacing)
        affine = np.asarray(image.affine, dtype=float)
        check_affine(path, affine)
        return Header(
            shape,
            spacing,
            "".join(nib.aff2axcodes(affine)),
            obliqueness_degrees(affine),
            not unoriented_note(path, image),
            content_of(path),
        )
    except ImageError as error:
        return Header(problem=str(error))


def _open(path: Path) -> Any:
    try:
        with np.errstate(all="ignore"):
            return nib.load(path)
    except Exception as error:  # noqa: BLE001 - nibabel raises many on arbitrary bytes
        raise ImageError(
            f"'{path}' cannot be read as an image ({error}). Check that it is what its "
            "name says, or copy it again."
        ) from None


def content_of(path: Path) -> str:
    """Return checksum (CRC-32) and length of a file's content, uncompressed.

    A gzip file ends with both, so that only eight bytes are read (RFC 1952). Two
    files that differ have the same ones by chance once in four thousand million.
    """
    if path.name.lower().endswith((".gz", ".mgz")):
        with path.open("rb") as stream:
            stream.seek(-_TRAILER_BYTES, 2)
            crc, length = struct.unpack("<II", stream.read(_TRAILER_BYTES))
        return f"{crc:08x}-{length}"
    crc = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return f"{crc:08x}-{path.stat().st_size % 2**32}"
