"""How well a scan lies in the template, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_neuropretrain.data.template import Template
from napari_neuropretrain.preprocessing.field_of_view import (
    Mask,
    brain_in_view,
    cut_faces,
    name_missing,
)
from napari_neuropretrain.preprocessing.linear_model import Array, rotation_and_scales
from napari_neuropretrain.preprocessing.resampling import (
    resample,
    resample_mask,
    voxel_map,
)


@dataclass(frozen=True, eq=False)
class Registration:
    """How a scan lies in the template.

    Parameters
    ----------
    transform
        Scan RAS mm to template RAS mm (4, 4).
    dice
        Dice overlap of the two brain masks, 0 to 1.
    overlap
        Share of the smaller of the two masks that lies in the other, where the scan
        shows the brain: unlike Dice it does not depend on how large a head is.
    correlation
        Correlation of the intensities where both are brain.
    likeness
        The same after the scan may also stretch along three axes: with fewer than
        nine degrees of freedom a head of another size is aligned but not alike.
    coverage
        Share of the template's brain that the scan shows, 0 to 1.
    missing
        Where the rest lies: ``"top"``, ``"bottom"``, ``"left"``... or ``""``.
    posture
        How the head lies if it fits better that way than upright, or ``""``.
    """

    transform: NDArray[np.float64]
    dice: float
    overlap: float
    correlation: float
    likeness: float
    coverage: float = 1.0
    missing: str = ""
    posture: str = ""

    @property
    def scales(self) -> tuple[float, float, float]:
        """How far the scan was stretched along the template's x, y and z."""
        _, scales = rotation_and_scales(self._linear_to_scan)
        x, y, z = (float(1 / scale) for scale in scales)
        return x, y, z

    @property
    def rotation_degrees(self) -> float:
        """By how much the scan was turned, about whatever axis."""
        rotation, _ = rotation_and_scales(self._linear_to_scan)
        return float(np.degrees(Rotation.from_matrix(rotation).magnitude()))

    @property
    def _linear_to_scan(self) -> Array:
        return np.asarray(np.linalg.inv(self.transform)[:3, :3], dtype=np.float64)


def judge_alignment(
    transform: Array,
    scan: Array,
    brain_mask: Mask,
    scan_affine: Array,
    template: Template,
) -> Registration:
    """Compare the moved scan with the template, on the template's grid.

    Parameters
    ----------
    transform
        Scan RAS mm to template RAS mm (4, 4).
    scan
        Standardised scan (X, Y, Z), 0 outside the brain.
    brain_mask
        Brain of the scan (X, Y, Z).
    scan_affine
        Voxel to RAS mm (4, 4) of the scan.
    template
        What the scan was aligned with.
    """
    grid = (scan_affine, transform, template.affine, template.brain_mask.shape)
    places = np.argwhere(template.brain_mask).astype(np.float64)
    cut = cut_faces(brain_mask, scan_affine)
    shown = brain_in_view(places, brain_mask, cut, voxel_map(*grid[:3]))
    moved_mask = resample_mask(brain_mask, *grid)
    both = moved_mask & template.brain_mask
    sizes = (moved_mask.sum(), template.brain_mask.sum(), shown.sum())
    moved = resample(scan.astype(np.float32), *grid, order=1)
    points = places @ template.affine[:3, :3].T + template.affine[:3, 3]
    correlation = _correlation(moved[both], template.data[both])
    return Registration(
        transform,
        dice=float(2 * both.sum() / (sizes[0] + sizes[1])),
        overlap=float(both.sum() / max(min(sizes[0], sizes[2]), 1)),
        correlation=correlation,
        likeness=correlation,
        coverage=float(shown.mean()),
        missing=name_missing(points, shown),
    )


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    if len(first) < 2 or first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
