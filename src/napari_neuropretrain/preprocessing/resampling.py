"""Carry volumes between a scan's grid and the template's, in one interpolation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_neuropretrain.data.orientation import spacing_of

FWHM_PER_SIGMA = 2.3548


def crop_to_brain(
    data: NDArray[np.float32],
    brain_mask: NDArray[np.bool_],
    affine: ArrayLike,
    margin_mm: float,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]:
    """Keep the box around the brain: the air of a 1 mm scan costs most of the time.

    Parameters
    ----------
    data, brain_mask
        Scan and its brain (X, Y, Z); the brain is not empty.
    affine
        Voxel to RAS mm (4, 4).
    margin_mm
        Kept around the brain, as far as the scan reaches.

    Returns
    -------
    tuple
        Scan, mask and affine of the box.

    Examples
    --------
    >>> mask = np.zeros((9, 9, 9), bool)
    >>> mask[4, 4, 4] = True
    >>> box, _, affine = crop_to_brain(mask * 7.0, mask, np.diag([2, 2, 2, 1]), 4.0)
    >>> box.shape, affine[:3, 3].tolist()
    ((5, 5, 5), [4.0, 4.0, 4.0])
    """
    margin = np.ceil(margin_mm / np.array(spacing_of(affine))).astype(int)
    places = np.argwhere(brain_mask)
    first = np.maximum(places.min(axis=0) - margin, 0)
    last = np.minimum(places.max(axis=0) + margin, np.array(data.shape) - 1)
    x, y, z = (slice(a, b + 1) for a, b in zip(first, last, strict=True))
    moved = np.array(affine, dtype=float)
    moved[:3, 3] += moved[:3, :3] @ first
    return data[x, y, z], brain_mask[x, y, z], moved


def voxel_map(
    affine: ArrayLike, transform: ArrayLike, template_affine: ArrayLike
) -> NDArray[np.float64]:
    """Return template voxel to scan voxel (4, 4), composed once.

    Parameters
    ----------
    affine
        Scan voxel to RAS mm (4, 4).
    transform
        Scan RAS mm to template RAS mm (4, 4).
    template_affine
        Template voxel to RAS mm (4, 4).

    Examples
    --------
    >>> voxel_map(np.diag([1, 1, 1, 1]), np.eye(4), np.diag([2, 2, 2, 1])).diagonal()
    array([2., 2., 2., 1.])
    """
    to_scan_mm = np.linalg.inv(np.asarray(transform, dtype=float))
    to_scan_voxel = np.linalg.inv(np.asarray(affine, dtype=float))
    return np.asarray(to_scan_voxel @ to_scan_mm @ np.asarray(template_affine))


def resample(
    data: NDArray[np.float32],
    affine: ArrayLike,
    transform: ArrayLike,
    template_affine: ArrayLike,
    shape: tuple[int, ...],
    order: int = 3,
) -> NDArray[np.float32]:
    """Move a scan onto the template's grid.

    A scan that is finer than the grid is first smoothed to the grid's resolution
    (Gaussian, widths subtracted in quadrature), so that nothing is aliased.

    Parameters
    ----------
    data
        Scan (X, Y, Z).
    affine, transform, template_affine
        As in `voxel_map`.
    shape
        Voxels of the template's grid.
    order
        3 is cubic B-spline, 1 linear.

    Returns
    -------
    NDArray
        float32 of `shape`, within the range of `data`; 0 beyond its edges.
    """
    smooth = _smoothed(data, spacing_of(affine), spacing_of(template_affine))
    moved = ndimage.affine_transform(
        smooth,
        voxel_map(affine, transform, template_affine),
        output_shape=shape,
        output=np.float32,
        order=order,
        mode="constant",
    )
    # A cubic spline rings beside sharp edges.
    low, high = min(0.0, float(data.min())), max(0.0, float(data.max()))
    return np.asarray(moved.clip(low, high))


def resample_mask(
    mask: NDArray[np.bool_],
    affine: ArrayLike,
    transform: ArrayLike,
    template_affine: ArrayLike,
    shape: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Move a mask onto the template's grid: linear, then at least one half."""
    fraction = resample(
        mask.astype(np.float32), affine, transform, template_affine, shape, order=1
    )
    return np.asarray(fraction >= 0.5)


def map_to_scan(
    data: NDArray[np.float32],
    template_affine: ArrayLike,
    transform: ArrayLike,
    affine: ArrayLike,
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Bring an array on the template's grid back onto a scan, by linear interpolation.

    Parameters
    ----------
    data
        Array (X, Y, Z) on the template's grid, for example an occlusion map.
    template_affine
        Voxel to RAS mm (4, 4) of that grid.
    transform
        Scan RAS mm to template RAS mm (4, 4), as preprocessing stored it.
    affine, shape
        Voxel to RAS mm (4, 4) and voxels of the scan.

    Returns
    -------
    NDArray
        float32 of `shape`; 0 where the scan lies outside the template's grid.
    """
    return np.asarray(
        ndimage.affine_transform(
            np.asarray(data, dtype=np.float32),
            np.linalg.inv(voxel_map(affine, transform, template_affine)),
            output_shape=shape,
            output=np.float32,
            order=1,
            mode="constant",
        )
    )


def _smoothed(
    data: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    target_mm: tuple[float, float, float],
) -> NDArray[np.float32]:
    """Smooth each axis that is clearly finer than the target."""
    target = min(target_mm)
    extra = [np.sqrt(max(target**2 - size**2, 0.0)) for size in spacing_mm]
    sigmas = [
        width / FWHM_PER_SIGMA / size
        for width, size in zip(extra, spacing_mm, strict=True)
    ]
    if max(sigmas) < 0.2:  # voxels; nothing to gain, and sharpness to lose
        return data
    return np.asarray(ndimage.gaussian_filter(data, sigmas))
