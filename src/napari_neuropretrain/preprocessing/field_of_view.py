"""Where the field of view cuts the brain off, and how much of it is left.

A fit that takes what lies outside the field of view for empty stretches the rest
of the brain over the whole template. Beyond a cut, nothing is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.preprocessing.linear_model import Array

Mask = NDArray[np.bool_]

CUT_AREA_CM2 = 40.0
"""The outermost slice of a whole brain is smaller: in 145 real scans at most 26 (the
flat side of a hemisphere), in 4 mm slices 35. 8 mm below the top it is over 50."""
EMPTY_RIM_MM = 16.0
SIDES = (("left", "right"), ("back", "front"), ("bottom", "top"))


def cut_faces(brain_mask: Mask, affine: Array) -> Mask:
    """Tell on which faces of its bounding box the brain ends in a flat cut.

    Parameters
    ----------
    brain_mask
        Brain (X, Y, Z) in RAS order.
    affine
        Voxel to RAS mm (4, 4).

    Returns
    -------
    bool array (3, 2)
        For left-right, back-front and bottom-top: is the first, the last face cut?

    Examples
    --------
    >>> ball = (np.indices((80, 80, 80)) - 40.0) ** 2
    >>> ball = ball.sum(axis=0) < 35**2
    >>> cut_faces(ball[:, :, 30:], np.diag([2.0, 2, 2, 1]))[2].tolist()
    [True, False]
    """
    spacing = spacing_of(affine)
    cut = np.zeros((3, 2), dtype=bool)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        areas = brain_mask.sum(axis=others) * spacing[others[0]] * spacing[others[1]]
        areas = areas[areas > 0] / 100  # mm2 to cm2
        cut[axis] = areas[0] > CUT_AREA_CM2, areas[-1] > CUT_AREA_CM2
    return cut


def frame_brain(
    data: Array, brain_mask: Mask, affine: Array, cut: Mask
) -> tuple[Array, Array]:
    """Let a volume end at its cut faces, and in emptiness at the others.

    Parameters
    ----------
    data
        Volume (X, Y, Z), 0 outside the brain.
    brain_mask
        Brain (X, Y, Z).
    affine
        Voxel to RAS mm (4, 4).
    cut
        As `cut_faces` returns it.

    Returns
    -------
    tuple
        The volume and its affine.
    """
    rim = np.ceil(EMPTY_RIM_MM / np.array(spacing_of(affine))).astype(int)
    empty = np.where(cut, 0, rim[:, np.newaxis])
    box = ndimage.find_objects(brain_mask.astype(np.uint8))[0]
    moved = affine.copy()
    first = np.array([part.start for part in box]) - empty[:, 0]
    moved[:3, 3] += moved[:3, :3] @ first
    return np.pad(data[box], empty), moved


def brain_in_view(
    template_voxels: Array, brain_mask: Mask, cut: Mask, to_scan_voxel: Array
) -> Mask:
    """Tell which voxels of the template's brain the scan shows.

    Parameters
    ----------
    template_voxels
        Voxels (N, 3) of the template.
    brain_mask
        Brain of the scan (X, Y, Z); what lies outside the array is not shown either.
    cut
        As `cut_faces` returns it.
    to_scan_voxel
        Template voxel to scan voxel (4, 4).
    """
    places = template_voxels @ to_scan_voxel[:3, :3].T + to_scan_voxel[:3, 3]
    box = ndimage.find_objects(brain_mask.astype(np.uint8))[0]
    shown = np.ones(len(places), dtype=bool)
    for axis, (low, high) in enumerate(cut):
        first = box[axis].start if low else 0
        last = (box[axis].stop if high else brain_mask.shape[axis]) - 1
        shown &= (places[:, axis] >= first - 0.5) & (places[:, axis] <= last + 0.5)
    return shown


def keep_share(brain_mask: Mask, cut: Mask, share: float) -> Mask:
    """Return the template's brain without what lies beyond the cut faces.

    Parameters
    ----------
    brain_mask
        The template's brain (X, Y, Z).
    cut
        As `cut_faces` returns it.
    share
        How much of its length each cut leaves, 0 to 1.
    """
    left = brain_mask.copy()
    box = ndimage.find_objects(brain_mask.astype(np.uint8))[0]
    for axis, (low, high) in enumerate(cut):
        first, stop = box[axis].start, box[axis].stop
        lost = round((1 - share) * (stop - first))
        slices = np.moveaxis(left, axis, 0)
        slices[: first + lost * low] = False
        slices[stop - lost * high :] = False
    return left if left.any() else brain_mask


def name_missing(template_points_mm: Array, shown: Mask) -> str:
    """Say in which part of the template's brain most of what is not shown lies.

    Parameters
    ----------
    template_points_mm
        RAS mm (N, 3) of the template's brain.
    shown
        As `brain_in_view` returns it.

    Examples
    --------
    >>> points = np.argwhere(np.ones((5, 5, 5)))
    >>> name_missing(points, points[:, 2] < 3), name_missing(points, points[:, 2] < 9)
    ('top', '')
    """
    if shown.all():
        return ""
    half = np.ptp(template_points_mm, axis=0) / 2
    middle = template_points_mm.mean(axis=0)
    away = (template_points_mm[~shown].mean(axis=0) - middle) / half
    axis = int(np.abs(away).argmax())
    return SIDES[axis][int(away[axis] > 0)]
