"""Conversions between the axis orders and world frames of the four libraries.

======================  =====================  ==========================
library                 array order            world frame
======================  =====================  ==========================
nibabel, this package   (x, y, z), RAS+        mm, RAS (right, anterior, superior)
napari                  (z, y, x)              mm, same numbers as RAS
torch                   (1, x, y, z), RAS+     none; axes D, H, W are X, Y, Z
ANTs, ITK               (x, y, z)              mm, LPS (left, posterior, superior)
======================  =====================  ==========================

Everything is a pure function on arrays and affines.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import nibabel as nib
import numpy as np
from nibabel.orientations import (
    apply_orientation,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
Affine: TypeAlias = NDArray[np.float64]

_RAS = np.array([[0, 1], [1, 1], [2, 1]])
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


class NapariPlacement(NamedTuple):
    """An array and where napari shall draw it."""

    data: Array
    """Voxels (Z, Y, X)."""
    scale: tuple[float, float, float]
    """Voxel size in mm along z, y, x."""
    translate: tuple[float, float, float]
    """Centre of voxel (0, 0, 0) in mm along z, y, x."""


class ItkGeometry(NamedTuple):
    """The grid of an image the way ITK and ANTs write it, in LPS."""

    spacing: tuple[float, float, float]
    """Voxel size in mm along the array's first, second and third axis."""
    origin: tuple[float, float, float]
    """Centre of voxel (0, 0, 0) in LPS mm."""
    direction: Affine
    """Unit axis vectors as columns (3, 3), LPS."""


def spacing_of(affine: ArrayLike) -> tuple[float, float, float]:
    """Return the voxel size in mm along each array axis.

    Examples
    --------
    >>> spacing_of(np.diag([-1.0, 2.0, 3.0, 1.0]))
    (1.0, 2.0, 3.0)
    """
    x, y, z = nib.affines.voxel_sizes(np.asarray(affine, dtype=float))
    return float(x), float(y), float(z)


def obliqueness_degrees(affine: ArrayLike) -> float:
    """Return the largest angle between an array axis and its closest world axis.

    Examples
    --------
    >>> obliqueness_degrees(np.diag([-1.0, 2.0, 3.0, 1.0]))
    0.0
    >>> c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    >>> tilted = [[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]]
    >>> round(obliqueness_degrees(tilted), 6)
    12.0
    """
    angles = nib.affines.obliquity(np.asarray(affine, dtype=float))
    return float(np.degrees(np.max(angles)))


def to_canonical(data: Array, affine: ArrayLike) -> tuple[Array, Affine]:
    """Flip and permute voxels to the closest RAS order, without resampling.

    Parameters
    ----------
    data
        Voxels (I, J, K) in the file's order.
    affine
        Voxel to RAS mm (4, 4) of that array.

    Returns
    -------
    tuple
        A view of the voxels as (X, Y, Z), and its voxel to RAS mm affine.

    Examples
    --------
    >>> voxels = np.arange(6).reshape(3, 2, 1)
    >>> las = np.diag([-2.0, 1.0, 1.0, 1.0])
    >>> data, affine = to_canonical(voxels, las)
    >>> data[:, 0, 0].tolist(), affine[0].tolist()
    ([4, 2, 0], [2.0, 0.0, 0.0, -4.0])
    """
    affine = np.asarray(affine, dtype=float)
    orientation = io_orientation(affine)
    moved = apply_orientation(data, orientation)
    return moved, affine @ inv_ornt_aff(orientation, data.shape[:3])


def from_canonical(data: Array, native_affine: ArrayLike) -> Array:
    """Put RAS voxels back into the order of a file with `native_affine`.

    Parameters
    ----------
    data
        Voxels (X, Y, Z) as `to_canonical` gave them.
    native_affine
        Voxel to RAS mm (4, 4) of the file.

    Examples
    --------
    >>> las = np.diag([-2.0, 1.0, 1.0, 1.0])
    >>> from_canonical(np.array([4, 2, 0]).reshape(3, 1, 1), las)[:, 0, 0].tolist()
    [0, 2, 4]
    """
    native = io_orientation(np.asarray(native_affine, dtype=float))
    moved: Array = apply_orientation(data, ornt_transform(_RAS, native))
    return moved


def to_napari(data: Array, affine: ArrayLike) -> NapariPlacement:
    """Return the (Z, Y, X) array with scale and translate for a napari layer.

    napari mishandles rotated layers, so an oblique volume is drawn straight:
    with its own spacing, and its centre at the true place.

    Parameters
    ----------
    data
        Voxels (X, Y, Z) in closest canonical order.
    affine
        Voxel to RAS mm (4, 4) of that array.

    Examples
    --------
    >>> affine = np.array([[1, 0, 0, -9], [0, 2, 0, -8], [0, 0, 3, -7], [0, 0, 0, 1]])
    >>> placement = to_napari(np.zeros((4, 5, 6)), affine)
    >>> placement.data.shape, placement.scale, placement.translate
    ((6, 5, 4), (3.0, 2.0, 1.0), (-7.0, -8.0, -9.0))
    """
    affine = np.asarray(affine, dtype=float)
    spacing = np.array(spacing_of(affine))
    middle = (np.array(data.shape[:3]) - 1) / 2
    corner = affine[:3, :3] @ middle + affine[:3, 3] - spacing * middle
    return NapariPlacement(
        data.transpose(2, 1, 0),
        (float(spacing[2]), float(spacing[1]), float(spacing[0])),
        (float(corner[2]), float(corner[1]), float(corner[0])),
    )


def from_napari(data: Array) -> Array:
    """Return the (X, Y, Z) view of a napari array (Z, Y, X).

    Examples
    --------
    >>> from_napari(np.zeros((6, 5, 4))).shape
    (4, 5, 6)
    """
    return data.transpose(2, 1, 0)


def to_channels_first(data: Array) -> Array:
    """Return (X, Y, Z) voxels as the (C, D, H, W) = (1, X, Y, Z) torch expects.

    Examples
    --------
    >>> to_channels_first(np.zeros((4, 5, 6))).shape
    (1, 4, 5, 6)
    """
    return np.ascontiguousarray(data)[np.newaxis]


def from_channels_first(data: Array) -> Array:
    """Return the (X, Y, Z) voxels of a (1, X, Y, Z) array.

    Examples
    --------
    >>> from_channels_first(np.zeros((1, 4, 5, 6))).shape
    (4, 5, 6)
    """
    first: Array = data[0]
    return first


def swap_ras_lps(affine: ArrayLike) -> Affine:
    """Turn a voxel to RAS mm affine into voxel to LPS mm, or back.

    Examples
    --------
    >>> swap_ras_lps(np.eye(4)).diagonal().tolist()
    [-1.0, -1.0, 1.0, 1.0]
    """
    swapped: Affine = _FLIP @ np.asarray(affine, dtype=float)
    return swapped


def swap_ras_lps_transform(transform: ArrayLike) -> Affine:
    """Turn an RAS mm to RAS mm transform into LPS mm to LPS mm, or back.

    Examples
    --------
    >>> shift = np.eye(4)
    >>> shift[:3, 3] = 1, 2, 3
    >>> swap_ras_lps_transform(shift)[:3, 3].tolist()
    [-1.0, -2.0, 3.0]
    """
    swapped: Affine = _FLIP @ np.asarray(transform, dtype=float) @ _FLIP
    return swapped


def to_itk(affine: ArrayLike) -> ItkGeometry:
    """Return ITK spacing, origin and direction of a voxel to RAS mm affine.

    Examples
    --------
    >>> to_itk(np.diag([2.0, 2.0, 2.0, 1.0])).direction.diagonal().tolist()
    [-1.0, -1.0, 1.0]
    """
    lps = swap_ras_lps(affine)
    spacing = spacing_of(lps)
    x, y, z = (float(value) for value in lps[:3, 3])
    return ItkGeometry(spacing, (x, y, z), lps[:3, :3] / np.array(spacing))


def from_itk(spacing: ArrayLike, origin: ArrayLike, direction: ArrayLike) -> Affine:
    """Return the voxel to RAS mm affine of an ITK or ANTs image.

    Examples
    --------
    >>> from_itk((2, 2, 2), (0, 0, 0), np.diag([-1, -1, 1])).diagonal().tolist()
    [2.0, 2.0, 2.0, 1.0]
    """
    lps = np.eye(4)
    lps[:3, :3] = np.asarray(direction, dtype=float).reshape(3, 3) * np.asarray(spacing)
    lps[:3, 3] = origin
    return swap_ras_lps(lps)
