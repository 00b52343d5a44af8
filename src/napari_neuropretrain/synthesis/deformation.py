"""Smooth displacements, and the chain of maps from a scan's voxels to the head.

All maps are pull-backs: for each point of the output they say where to look in
the input. They are found on a coarse lattice and read off linearly, so that the
image itself is interpolated only once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.synthesis.anatomy import FloatArray
from napari_neuropretrain.synthesis.resizing import resize

Affine = NDArray[np.float64]
LATTICE_MM = 4.0
CONTROL_MM = 22.0


@dataclass(frozen=True)
class DisplacementField:
    """A displacement in mm on a grid.

    Parameters
    ----------
    vectors
        float32 (3, X, Y, Z), RAS mm; 0 is assumed outside the grid.
    affine
        (4, 4) voxel -> RAS mm.
    """

    vectors: FloatArray
    affine: Affine

    def at(self, points: FloatArray) -> FloatArray:
        """Return the displacement at points of shape (3, ...), in mm."""
        return np.stack([sample(axis, self.affine, points) for axis in self.vectors])


def apply_affine(affine: NDArray[Any], points: FloatArray) -> FloatArray:
    """Map points of shape (3, ...) by a (4, 4) matrix.

    Examples
    --------
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 5.0
    >>> apply_affine(shift, np.zeros((3, 1), np.float32)).ravel().tolist()
    [5.0, 0.0, 0.0]
    """
    linear = affine[:3, :3].astype(np.float32)
    offset = affine[:3, 3].astype(np.float32)
    moved = np.tensordot(linear, points, axes=1)
    return np.asarray(moved + offset.reshape(3, *[1] * (points.ndim - 1)))


def sample(volume: FloatArray, affine: Affine, points: FloatArray) -> FloatArray:
    """Read a volume (X, Y, Z) at RAS mm points (3, ...), linear, 0 outside."""
    voxels = apply_affine(np.linalg.inv(affine), points)
    values = ndimage.map_coordinates(
        volume, voxels, output=np.float32, order=1, prefilter=False
    )
    return np.asarray(values)


def pull_towards(
    region: FloatArray, affine: Affine, sigma_mm: float
) -> DisplacementField:
    """Return a field that looks 1 mm nearer to a region where its edge is steepest.

    Looking nearer makes the region grow in the output; scaled by a negative
    number it makes the region shrink. The field is the gradient of the blurred
    region, so it is as smooth as the blur and folds nothing while its scale
    stays below about `sigma_mm`.

    Parameters
    ----------
    region
        Soft weight in [0, 1], float32 (X, Y, Z).
    affine
        (4, 4) voxel -> RAS mm, without rotation or flip.
    sigma_mm
        Width of the blur.
    """
    spacing = np.diag(affine)[:3]
    blurred = ndimage.gaussian_filter(region, sigma_mm / spacing, truncate=3.0)
    slopes = np.gradient(blurred, *spacing)
    vectors = np.stack(slopes).astype(np.float32)
    steepest = float(np.sqrt((vectors**2).sum(0)).max()) or 1.0
    return DisplacementField(vectors / np.float32(steepest), affine)


def random_displacement(
    rng: np.random.Generator,
    low_mm: NDArray[np.float64],
    extent_mm: NDArray[np.float64],
    rms_mm: float,
) -> DisplacementField:
    """Return a smooth random field over a box, of the given length on average.

    Parameters
    ----------
    low_mm, extent_mm
        Corner and size of the box, RAS mm.
    rms_mm
        Root mean square length of a displacement.
    """
    counts = [math.ceil(size / CONTROL_MM) + 4 for size in extent_mm]
    noise = rng.standard_normal((3, *counts)).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, 0.9, 0.9, 0.9))
    smooth *= rms_mm / np.sqrt((smooth**2).sum(0).mean())
    # A cubic refinement leaves no creases where control points meet.
    step = CONTROL_MM / 4
    fine = resize(smooth, [4 * count for count in counts], order=3)
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low_mm - CONTROL_MM
    return DisplacementField(fine, affine)


def random_head_pose(rng: np.random.Generator, size: float) -> Affine:
    """Return a (4, 4) map template -> scanner: place, tilt and shape of a head.

    Parameters
    ----------
    size
        Overall scale, 1 for the template's own size.
    """
    angles = rng.uniform(-9, 9, 3)
    scales = size * rng.uniform(0.96, 1.04, 3)
    pose = np.eye(4)
    pose[:3, :3] = rotation(angles) @ np.diag(scales)
    pose[:3, 3] = rng.uniform(-18, 18, 3)
    return pose


def rotation(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (3, 3) rotation about x, then y, then z.

    Examples
    --------
    >>> turned = rotation(np.array([0.0, 0.0, 90.0])) @ np.array([1.0, 0.0, 0.0])
    >>> turned.round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(3)
        one, two = [i for i in range(3) if i != axis]
        turn[one, one] = turn[two, two] = math.cos(angle)
        sign = -1.0 if axis == 1 else 1.0
        turn[two, one] = sign * math.sin(angle)
        turn[one, two] = -sign * math.sin(angle)
        matrix = turn @ matrix
    return matrix


def lattice_points(shape: tuple[int, int, int], affine: Affine) -> FloatArray:
    """Return RAS mm points (3, x, y, z) about 4 mm apart, corners on the grid's."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    axes = [
        np.linspace(0, size - 1, max(2, math.ceil((size - 1) * step / LATTICE_MM) + 1))
        for size, step in zip(shape, spacing, strict=True)
    ]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    return apply_affine(affine, voxels)


def refine(points: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """Read a lattice (3, x, y, z) off at every voxel: (3, X, Y, Z), linear."""
    return resize(points, shape, order=1)
