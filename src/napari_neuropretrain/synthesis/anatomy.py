"""Where things are on the template that nilearn ships (MNI152 2009a, no download).

Every map is a soft weight in [0, 1] on a grid given by a shape and a 4x4
voxel -> RAS mm affine, so the same anatomy can be drawn on the head that is
warped and on the grid that a model sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float32]
Triple = tuple[float, float, float]

CSF = 0.26
GREY = 0.70
WHITE = 0.87
"""Typical intensities of the template, which runs from 0 to 1."""

# Ellipsoids (centre, semi-axes) in MNI mm, right side; the left is mirrored.
MEDIAL_TEMPORAL: tuple[tuple[Triple, Triple], ...] = (
    ((27.0, -12.0, -20.0), (15.0, 19.0, 15.0)),
    ((27.0, -28.0, -12.0), (15.0, 16.0, 14.0)),
)
TEMPORAL_HORN: tuple[tuple[Triple, Triple], ...] = (
    ((33.0, -16.0, -18.0), (5.0, 14.0, 5.0)),
    ((30.0, -38.0, 2.0), (8.0, 8.0, 9.0)),
)
BASAL_GANGLIA: tuple[tuple[Triple, Triple], ...] = (
    ((26.0, 3.0, 2.0), (10.0, 21.0, 14.0)),
    ((13.0, 12.0, 9.0), (8.5, 15.0, 14.0)),
)
LATERAL_VENTRICLE_BOX = ((-42.0, -58.0, -8.0), (42.0, 38.0, 34.0))
AGEING_CORTEX: tuple[tuple[Triple, Triple], ...] = (
    ((42.0, 6.0, 4.0), (15.0, 27.0, 18.0)),
)


@dataclass(frozen=True)
class TissueMaps:
    """The template and its tissues on one grid, each float32 of shape (X, Y, Z).

    `t1` is 0 outside the brain; `grey` and `brain` lie in [0, 1].
    """

    t1: FloatArray
    grey: FloatArray
    brain: FloatArray


@dataclass(frozen=True)
class Regions:
    """Soft weights in [0, 1] of the places where effects are planted."""

    ventricles: FloatArray
    temporal_horns: FloatArray
    medial_temporal: FloatArray
    basal_ganglia: FloatArray
    ageing_cortex: FloatArray


@lru_cache(maxsize=1)
def _template_files() -> tuple[FloatArray, FloatArray, NDArray[np.float64]]:
    """Return the packaged T1 and grey matter at 1 mm, and their affine."""
    from nilearn import datasets

    t1 = datasets.load_mni152_template(resolution=1)
    grey = datasets.load_mni152_gm_template(resolution=1)
    voxels, share = (np.asarray(i.dataobj, dtype=np.float32) for i in (t1, grey))
    return voxels, share, np.asarray(t1.affine, dtype=np.float64)


def grid_coordinates(
    shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> list[FloatArray]:
    """Return the RAS mm coordinates x, y, z of a grid, each of shape (X, Y, Z)."""
    axes = [np.arange(size, dtype=np.float32) for size in shape]
    i, j, k = np.meshgrid(*axes, indexing="ij", sparse=True)
    a = affine.astype(np.float32)
    return [
        np.asarray(a[row, 0] * i + a[row, 1] * j + a[row, 2] * k + a[row, 3])
        for row in range(3)
    ]


def tissue_maps(shape: tuple[int, int, int], affine: NDArray[np.float64]) -> TissueMaps:
    """Resample the template and its tissue maps to a grid (linear).

    Examples
    --------
    >>> maps = tissue_maps((9, 9, 9), np.diag([20.0, 20.0, 20.0, 1.0]))
    >>> maps.t1.shape
    (9, 9, 9)
    """
    t1, grey, source = _template_files()
    volumes = (t1, grey, (t1 > 0).astype(np.float32))
    return TissueMaps(
        *(resample(volume, source, shape, affine, "constant") for volume in volumes)
    )


def resample(
    volume: FloatArray,
    source: NDArray[np.float64],
    shape: tuple[int, int, int],
    affine: NDArray[np.float64],
    beyond: Literal["constant", "nearest"],
) -> FloatArray:
    """Resample a volume to another grid, linearly.

    Parameters
    ----------
    volume, source
        float32 (X, Y, Z) and its (4, 4) voxel -> RAS mm.
    shape, affine
        The other grid.
    beyond
        What lies outside the volume: 0 ("constant") or its "nearest" voxel.
    """
    change = np.linalg.inv(source) @ affine
    warped = ndimage.affine_transform(
        volume,
        change[:3, :3],
        change[:3, 3],
        output_shape=shape,
        output=np.float32,
        order=1,
        mode=beyond,
    )
    return np.asarray(warped)


def soft_ellipsoid(
    coordinates: list[FloatArray], centre: Triple, semi_axes: Triple, edge_mm: float
) -> FloatArray:
    """Return 1 inside an ellipsoid, 0 outside, with a linear edge `edge_mm` wide."""
    parts = (
        ((axis - middle) / radius) ** 2
        for axis, middle, radius in zip(coordinates, centre, semi_axes, strict=True)
    )
    radius = np.sqrt(sum(parts))
    edge = edge_mm / min(semi_axes)
    return np.asarray(np.clip((1 - radius) / edge + 0.5, 0, 1), dtype=np.float32)


def _both_sides(
    coordinates: list[FloatArray], ellipsoids: Iterable[tuple[Triple, Triple]]
) -> FloatArray:
    """Return the union of ellipsoids and their mirror images."""
    mirrored = [np.abs(coordinates[0]), *coordinates[1:]]
    maps = [soft_ellipsoid(mirrored, *one, edge_mm=5.0) for one in ellipsoids]
    return np.asarray(np.maximum.reduce(maps), dtype=np.float32)


def _lateral_ventricles(t1: FloatArray, coordinates: list[FloatArray]) -> FloatArray:
    """Return the fluid of the body and the horns of the lateral ventricles."""
    low, high = LATERAL_VENTRICLE_BOX
    inside = np.ones(t1.shape, dtype=bool)
    for axis, lower, upper in zip(coordinates, low, high, strict=True):
        inside &= (axis > lower) & (axis < upper)
    # On the midline lie the fissure between the hemispheres, above the body, and
    # the cisterns behind the thalamus; neither belongs to the ventricles.
    away = (coordinates[2] > 20) | (coordinates[1] < -22)
    inside &= ~((np.abs(coordinates[0]) < 6) & away)
    # The Sylvian fissures reach into the box; the ventricles keep within 26 mm
    # of the midline in front of the atria.
    inside &= (np.abs(coordinates[0]) < 26) | (coordinates[1] < -22)
    fluid = np.clip((0.58 - t1) / 0.16, 0, 1) * inside
    labels, _ = ndimage.label(fluid > 0.5)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = sizes[labels] >= 0.2 * sizes.max(initial=1)
    return np.asarray(fluid * ndimage.binary_dilation(kept), dtype=np.float32)


def regions_on(
    shape: tuple[int, int, int], affine: NDArray[np.float64], maps: TissueMaps
) -> Regions:
    """Draw the regions of the planted effects on a grid.

    Coordinates are those of the usual MNI atlases: hippocampus near
    (27, -21, -15), putamen (26, 4, 2), caudate (12, 12, 9) mm.
    """
    coordinates = grid_coordinates(shape, affine)
    grey = np.clip(maps.grey * 1.2, 0, 1)
    return Regions(
        ventricles=_lateral_ventricles(maps.t1, coordinates),
        temporal_horns=_both_sides(coordinates, TEMPORAL_HORN) * maps.brain,
        medial_temporal=_both_sides(coordinates, MEDIAL_TEMPORAL) * maps.brain,
        basal_ganglia=_both_sides(coordinates, BASAL_GANGLIA) * maps.brain,
        ageing_cortex=_both_sides(coordinates, AGEING_CORTEX) * grey,
    )
