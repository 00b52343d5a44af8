"""A whole head drawn around the template brain: the model that every scan warps.

The template is stripped of its skull. Around it come, by distance from the
brain's hull, fluid, the two tables of the skull with marrow between them, and,
by depth below the skin, skin, fat and muscle; then the parts of the face and
neck, each a soft ellipsoid or column. It is no atlas: it is what a T1-weighted
head needs for a brain mask, a bias correction and a registration to be tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.synthesis.anatomy import (
    CSF,
    FloatArray,
    Regions,
    Triple,
    grid_coordinates,
    regions_on,
    resample,
    soft_ellipsoid,
    tissue_maps,
)
from napari_neuropretrain.synthesis.resizing import resize

LOW_MM: Triple = (-100.0, -134.0, -140.0)
HIGH_MM: Triple = (100.0, 118.0, 110.0)
"""Corners of the head's grid, MNI mm."""

# (distance outside the brain's hull in mm, intensity); the hull is the brain
# with its sulci closed. Values relative to white matter at 0.87.
CRANIUM = (
    (-9.0, CSF), (2.6, CSF), (3.4, 0.10), (4.6, 0.10), (5.6, 0.40), (8.0, 0.40),
    (9.0, 0.10), (10.0, 0.10),
)  # fmt: skip
# (depth below the skin in mm, intensity)
SOFT_TISSUE = (
    (-0.8, 0.0), (0.6, 0.45), (1.6, 0.50), (2.6, 0.92), (5.4, 0.95), (7.0, 0.50),
)  # fmt: skip
SKULL_END_MM = 10.5
SKIN_MM = 16.5

# Painted in order over muscle and fat: centre, semi-axes, intensity.
FACE: tuple[tuple[Triple, Triple, float], ...] = (
    ((0.0, 8.0, -52.0), (34.0, 34.0, 13.0), 0.36),  # base of the skull
    ((0.0, 26.0, -80.0), (9.0, 15.0, 24.0), 0.03),  # nasopharynx
    ((0.0, 10.0, -118.0), (9.0, 8.0, 34.0), 0.03),  # airway
    ((0.0, 66.0, -64.0), (13.0, 26.0, 17.0), 0.18),  # nasal cavity
    ((29.0, 52.0, -68.0), (12.0, 15.0, 13.0), 0.03),  # maxillary sinuses
    ((-29.0, 52.0, -68.0), (12.0, 15.0, 13.0), 0.03),
    ((0.0, 46.0, -106.0), (24.0, 30.0, 15.0), 0.55),  # tongue
    ((0.0, 66.0, -90.0), (26.0, 16.0, 6.0), 0.14),  # palate and teeth
    ((42.0, 20.0, -100.0), (7.0, 24.0, 30.0), 0.12),  # rami of the jaw
    ((-42.0, 20.0, -100.0), (7.0, 24.0, 30.0), 0.12),
    ((42.0, 20.0, -100.0), (3.5, 18.0, 24.0), 0.60),
    ((-42.0, 20.0, -100.0), (3.5, 18.0, 24.0), 0.60),
    ((32.0, 50.0, -38.0), (18.0, 24.0, 16.0), 0.92),  # fat behind the eyes
    ((-32.0, 50.0, -38.0), (18.0, 24.0, 16.0), 0.92),
    ((32.0, 62.0, -38.0), (12.5, 12.5, 12.5), 0.48),  # wall of the eye
    ((-32.0, 62.0, -38.0), (12.5, 12.5, 12.5), 0.48),
    ((32.0, 62.0, -38.0), (11.0, 11.0, 11.0), 0.22),  # vitreous
    ((-32.0, 62.0, -38.0), (11.0, 11.0, 11.0), 0.22),
)
# Ellipsoids that, with the vault, make the outline of the face.
OUTLINE: tuple[tuple[Triple, Triple], ...] = (
    ((0.0, 24.0, -60.0), (68.0, 60.0, 60.0)),
    ((0.0, 34.0, -105.0), (56.0, 52.0, 52.0)),
    ((0.0, 84.0, -72.0), (13.0, 22.0, 18.0)),
)
SPINE_Y_MM = -20.0
CORD_Y_MM = -43.0


@dataclass(frozen=True)
class Head:
    """A T1-weighted head in template space.

    Parameters
    ----------
    t1
        Intensities, float32 (X, Y, Z), 0 in air, white matter near 0.87.
    brain
        Soft brain mask in [0, 1], same grid.
    regions
        Where effects are planted, same grid.
    affine
        (4, 4) voxel -> MNI RAS mm.
    """

    t1: FloatArray
    brain: FloatArray
    regions: Regions
    affine: NDArray[np.float64]


def head_grid(spacing_mm: float) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return the shape and affine of the head's grid.

    Examples
    --------
    >>> head_grid(2.0)[0]
    (101, 127, 126)
    """
    low, high = np.array(LOW_MM), np.array(HIGH_MM)
    x, y, z = (int(n) for n in np.floor((high - low) / spacing_mm) + 1)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low
    return (x, y, z), affine


def build_head(spacing_mm: float = 1.5) -> Head:
    """Draw the head, the same one at every call; kept in memory afterwards.

    Parameters
    ----------
    spacing_mm
        Voxel edge of the model head. 1.5 serves scans of 1.5 mm and coarser.
    """
    # A default argument would make a second entry in the cache.
    return _drawn_head(float(spacing_mm))


@lru_cache(maxsize=2)
def _drawn_head(spacing_mm: float) -> Head:
    """Draw the head on its grid; see `build_head`."""
    shape, affine = head_grid(spacing_mm)
    maps = tissue_maps(shape, affine)
    coordinates = grid_coordinates(shape, affine)
    outside_mm, depth_mm = _distances(shape, affine)
    texture = _texture(shape, spacing_mm)
    soft = _profile(depth_mm, SOFT_TISSUE) * (1 + 0.10 * texture)
    soft = _paint_face(soft, coordinates, depth_mm)
    soft = _paint_spine(soft, coordinates)
    cranium = _profile(outside_mm, CRANIUM)
    cranium = cranium * (1 + 0.12 * texture * (outside_mm > 4))
    bone = np.clip(SKULL_END_MM - outside_mm + 0.5, 0, 1)
    around = (bone * cranium + (1 - bone) * soft).astype(np.float32)
    around = _paint_cord(around, coordinates)
    t1 = maps.brain * maps.t1 + np.clip(1 - maps.brain, 0, 1) * around
    return Head(
        t1=np.asarray(t1, dtype=np.float32),
        brain=maps.brain,
        regions=regions_on(shape, affine, maps),
        affine=affine,
    )


def _profile(
    distance: FloatArray, knots: tuple[tuple[float, float], ...]
) -> FloatArray:
    """Return the intensity at each distance, linear between the knots."""
    places, values = zip(*knots, strict=True)
    return np.asarray(np.interp(distance, places, values), dtype=np.float32)


def _signed_distance(mask: NDArray[np.bool_], spacing_mm: float) -> FloatArray:
    """Return mm outside (positive) or inside (negative) a mask, smoothed."""
    out = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
    return np.asarray(ndimage.gaussian_filter(out, 1.0) * spacing_mm, dtype=np.float32)


def _distances(
    shape: tuple[int, int, int], affine: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    """Return mm outside the brain's hull and mm below the skin.

    Found on a 2.5 mm lattice: distances are smooth, so nothing is lost.
    """
    step = 2.5
    coarse_shape, coarse = head_grid(step)
    coordinates = grid_coordinates(coarse_shape, coarse)
    brain = np.pad(tissue_maps(coarse_shape, coarse).brain > 0.5, 8)
    hull = ndimage.gaussian_filter(brain.astype(np.float32), 1.0) > 0.5
    hull = ndimage.binary_closing(hull, iterations=5)[8:-8, 8:-8, 8:-8]
    outside = _signed_distance(hull, step)
    # The scalp is thinner at the temples than at the back and the top.
    x, _, z = coordinates
    side = np.clip(np.abs(x) / 80 - 0.2, 0, 1) * (z < 50)
    thinner = 1 + 0.25 * side * (outside > 0)
    outside = (outside * thinner).astype(np.float32)
    depth = -_signed_distance(_body(outside, coordinates), step)
    fine = [
        resample(volume, coarse, shape, affine, "nearest")
        for volume in (outside, depth)
    ]
    return fine[0], fine[1]


def _body(outside: FloatArray, coordinates: list[FloatArray]) -> NDArray[np.bool_]:
    """Return everything that is not air: vault, face, nose and neck."""
    x, y, z = coordinates
    body = outside < SKIN_MM
    for centre, semi_axes in OUTLINE:
        body |= soft_ellipsoid(coordinates, centre, semi_axes, 1.0) > 0.5
    neck = (x / 58) ** 2 + ((y + 32) / 60) ** 2 < 1
    body |= neck & (z < -50)
    # Smoothing joins the parts with a rounded crease, as skin does.
    return np.asarray(
        ndimage.gaussian_filter(body.astype(np.float32), 2.2, mode="nearest") > 0.5
    )


def _texture(shape: tuple[int, int, int], spacing_mm: float) -> FloatArray:
    """Return smooth zero-mean noise of unit deviation, the same at every call."""
    rng = np.random.default_rng(20090114)
    coarse = rng.standard_normal((34, 43, 42))
    smooth = ndimage.gaussian_filter(coarse, 0.8)
    return resize(smooth / smooth.std(), shape, order=1)


def _paint(around: FloatArray, weight: FloatArray, value: float) -> FloatArray:
    return around + weight * (np.float32(value) - around)


def _paint_face(
    soft: FloatArray, coordinates: list[FloatArray], depth_mm: FloatArray
) -> FloatArray:
    """Paint eyes, sinuses, airway, tongue and jaw below the skin."""
    below_skin = np.clip(depth_mm - 2, 0, 1)
    for centre, semi_axes, value in FACE:
        weight = soft_ellipsoid(coordinates, centre, semi_axes, edge_mm=2.0)
        soft = _paint(soft, weight * below_skin, value)
    return soft


def _column(
    coordinates: list[FloatArray], y_mm: float, radius_mm: float, top_mm: float
) -> FloatArray:
    """Return a soft upright cylinder in the midline, below `top_mm`."""
    x, y, z = coordinates
    radial = np.clip(radius_mm - np.hypot(x, y - y_mm) + 0.5, 0, 1)
    return np.asarray(radial * np.clip((top_mm - z) / 2, 0, 1), dtype=np.float32)


def _paint_spine(soft: FloatArray, coordinates: list[FloatArray]) -> FloatArray:
    """Paint vertebrae: marrow in a dark rim, with a disc every 17 mm."""
    soft = _paint(soft, _column(coordinates, SPINE_Y_MM, 14.0, -74.0), 0.12)
    disc = np.abs((coordinates[2] + 74) % 17 - 8.5) > 6
    marrow = _column(coordinates, SPINE_Y_MM, 12.0, -76.0)
    soft = _paint(soft, marrow, 0.55)
    return _paint(soft, marrow * disc, 0.32)


def _paint_cord(around: FloatArray, coordinates: list[FloatArray]) -> FloatArray:
    """Continue the brainstem, which the template cuts at z = -72 mm."""
    around = _paint(around, _column(coordinates, CORD_Y_MM, 11.0, -66.0), CSF)
    return _paint(around, _column(coordinates, CORD_Y_MM, 6.5, -66.0), 0.76)
