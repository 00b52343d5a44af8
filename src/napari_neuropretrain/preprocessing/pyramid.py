"""Scan and template at one resolution after the other, as the fit compares them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.data.template import Template
from napari_neuropretrain.preprocessing.field_of_view import (
    Mask,
    cut_faces,
    frame_brain,
)
from napari_neuropretrain.preprocessing.linear_model import Array

RIM_VOXELS = 2
"""The fit also sees so much of the emptiness around the template's brain."""

CAP = 4.0
"""Standard deviations beyond which vessels and fat count no more."""
EDGE = 2.0
"""How many standard deviations the brain stands out from its surroundings in the fit.
With 4, the edge of the mask outweighs the brain: two masks of the same scan (five IXI
scans) gave alignments 0.8 to 1.9 mm apart. With 2 they are 0.2 to 0.7 mm apart and at
least as alike the template inside; Dice with its mask falls by 0.001 to 0.006."""


@dataclass(frozen=True)
class Level:
    """The two volumes at one resolution.

    Parameters
    ----------
    points_mm
        Template points (N, 3) in mm from the template's centre.
    values
        Template intensities (N,) at these points.
    scan
        Scan (X, Y, Z), 0 outside the brain.
    to_voxel
        Scan mm, from the scan's centre, to voxel (4, 4).
    cut
        Faces of the scan (3, 2) beyond which nothing is known: the brain goes on.
        Beyond the others there is no brain.
    """

    points_mm: Array
    values: Array
    scan: Array
    to_voxel: Array
    cut: Mask


def build_levels(
    scan: Array,
    brain_mask: Mask,
    affine: Array,
    template: Template,
    levels_mm: tuple[float, ...],
) -> list[Level]:
    """Prepare both volumes, with voxels of about each size, coarsest first.

    Parameters
    ----------
    scan
        Standardised scan (X, Y, Z), 0 outside the brain; see `standardise_brain`.
    brain_mask
        Brain of the scan (X, Y, Z).
    affine
        Voxel to RAS mm (4, 4) of the scan.
    template
        What the scan is aligned with.
    levels_mm
        Voxel size of each level in mm.
    """
    target = standardise_brain(template.data, template.brain_mask)
    centres = (
        centre_mm(template.brain_mask, template.affine),
        centre_mm(brain_mask, affine),
    )
    cut = cut_faces(brain_mask, affine)
    framed, framed_affine = frame_brain(scan, brain_mask, affine, cut)
    # The finest level first, so that a 1 mm scan is smoothed at full size only once.
    small, small_affine = _shrink(framed, framed_affine, min(levels_mm))
    return [
        _level(template, target, small, small_affine, cut, centres, edge_mm)
        for edge_mm in levels_mm
    ]


def standardise_brain(data: NDArray[np.float32], brain_mask: Mask) -> Array:
    """Return the brain with mean `EDGE` and deviation 1, capped, and 0 around it."""
    inside = data[brain_mask].astype(float)
    values = (data - inside.mean()) / (inside.std() or 1.0)
    return np.where(brain_mask, values.clip(-CAP, CAP) + EDGE, 0.0)


def centre_mm(mask: Mask, affine: Array) -> Array:
    """Return the centre of mass (3,) of a mask in RAS mm."""
    centre = np.argwhere(mask).mean(axis=0)
    return np.asarray(affine[:3, :3] @ centre + affine[:3, 3])


def _level(
    template: Template,
    target: Array,
    scan: Array,
    scan_affine: Array,
    cut: Mask,
    centres: tuple[Array, Array],
    edge_mm: float,
) -> Level:
    values, template_affine = _shrink(target, template.affine, edge_mm)
    rim = ndimage.binary_dilation(template.brain_mask, iterations=RIM_VOXELS)
    seen, _ = _shrink(rim.astype(float), template.affine, edge_mm)
    inside = seen > 0.5
    points = np.argwhere(inside) @ template_affine[:3, :3].T + template_affine[:3, 3]
    small, small_affine = _shrink(scan, scan_affine, edge_mm)
    from_centre = np.eye(4)
    from_centre[:3, 3] = centres[1]
    to_voxel = np.linalg.inv(small_affine) @ from_centre
    return Level(points - centres[0], values[inside], small, to_voxel, cut)


def _shrink(data: Array, affine: Array, edge_mm: float) -> tuple[Array, Array]:
    """Smooth and keep every n-th voxel, so that voxels are at most `edge_mm`."""
    steps = [max(1, int(edge_mm / size + 1e-3)) for size in spacing_of(affine)]
    sigmas = [step / 2 if step > 1 else 0.0 for step in steps]
    smooth = ndimage.gaussian_filter(data, sigmas)
    smaller = affine.copy()
    smaller[:3, :3] = affine[:3, :3] * np.array(steps)
    x, y, z = steps
    return np.ascontiguousarray(smooth[::x, ::y, ::z]), smaller
