"""Linear registration of a brain with the MNI152 brain.

Nine degrees of freedom unless the contract says otherwise: three rotations, three
translations and three scales along the template's axes; no shear, and never a
reflection. The fit runs from coarse to fine from several tilts of the head;
`alignment` has the method, `linear_model` the degrees of freedom, `acceptance` the
check of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_neuropretrain.config.contract import RegistrationParameters
from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.data.template import Template
from napari_neuropretrain.preprocessing.alignment import Level, fit
from napari_neuropretrain.preprocessing.field_of_view import (
    Mask,
    brain_in_view,
    cut_faces,
    frame_brain,
    name_missing,
)
from napari_neuropretrain.preprocessing.linear_model import (
    TRANSLATION,
    Array,
    linear_part,
    rotation_and_scales,
    start_parameters,
)
from napari_neuropretrain.preprocessing.resampling import (
    resample,
    resample_mask,
    voxel_map,
)

DEFAULTS = RegistrationParameters()
START_TILTS_DEGREES = (
    (0, 0, 0),
    (25, 0, 0),
    (-25, 0, 0),
    (50, 0, 0),
    (-50, 0, 0),
    (0, 25, 0),
    (0, -25, 0),
    (0, 0, 25),
    (0, 0, -25),
)
"""Tilts about the left-right, front-back and vertical axis tried at first."""
CUT_SHARES = (1.0, 0.85, 0.7, 0.5)
"""How much of the brain a cut may have left: each moves the centre of the rest."""
RIM_VOXELS = 2
"""The fit also sees so much of the emptiness around the template's brain."""


@dataclass(frozen=True, eq=False)
class Registration:
    """How a scan lies in the template.

    Parameters
    ----------
    transform
        Scan RAS mm to template RAS mm (4, 4).
    dice
        Overlap of the two brain masks, 0 to 1.
    correlation
        Correlation of the intensities inside the template's brain, where the scan
        shows it.
    coverage
        Share of the template's brain that the scan shows, 0 to 1.
    missing
        Where the rest lies: ``"top"``, ``"bottom"``, ``"left"``... or ``""``.
    """

    transform: NDArray[np.float64]
    dice: float
    correlation: float
    coverage: float = 1.0
    missing: str = ""

    @property
    def scales(self) -> tuple[float, float, float]:
        """How far the scan was stretched along the template's x, y and z."""
        _, scales = rotation_and_scales(np.linalg.inv(self.transform)[:3, :3])
        x, y, z = (float(1 / scale) for scale in scales)
        return x, y, z

    @property
    def rotation_degrees(self) -> float:
        """By how much the scan was turned, about whatever axis."""
        rotation, _ = rotation_and_scales(np.linalg.inv(self.transform)[:3, :3])
        return float(np.degrees(Rotation.from_matrix(rotation).magnitude()))


def register_to_template(
    data: NDArray[np.float32],
    brain_mask: Mask,
    affine: ArrayLike,
    template: Template,
    parameters: RegistrationParameters = DEFAULTS,
) -> Registration:
    """Align a scan with the template.

    Parameters
    ----------
    data
        Scan (X, Y, Z), bias corrected; only the brain is used.
    brain_mask
        Brain of the scan, on the same grid.
    affine
        Voxel to RAS mm (4, 4) of both.
    template
        The template with its brain mask; its field of view must hold the brain.
    parameters
        Degrees of freedom and the voxel size of each level.

    Returns
    -------
    Registration
        Not yet checked; see `acceptance.check_registration`.
    """
    scan_affine = np.asarray(affine, dtype=float)
    scan = _standardised(data, brain_mask)
    target = _standardised(template.data, template.brain_mask)
    centres = (
        _centre_mm(template.brain_mask, template.affine),
        _centre_mm(brain_mask, scan_affine),
    )
    cut = cut_faces(brain_mask, scan_affine)
    framed, framed_affine = frame_brain(scan, brain_mask, scan_affine, cut)
    # The finest level first, so that a 1 mm scan is smoothed at full size only once.
    small, small_affine = _shrunk(framed, framed_affine, parameters.levels_mm[-1])
    levels = [
        _level(template, target, small, small_affine, cut, centres, edge_mm)
        for edge_mm in parameters.levels_mm
    ]
    growth = _volume(brain_mask, scan_affine)
    growth /= _volume(template.brain_mask, template.affine)
    starts = _starts(template, centres[0], cut, growth, parameters.dof)
    found = _coarse_to_fine(levels, starts, parameters.dof)
    transform = _scan_to_template(found, *centres)
    return _judge(transform, scan, brain_mask, scan_affine, cut, target, template)


def _standardised(data: NDArray[np.float32], mask: Mask) -> Array:
    """Return the brain with mean 4 and deviation 1, capped to 0..8, and 0 around it.

    The offset keeps the brain's edge visible to the fit.
    """
    inside = data[mask].astype(float)
    values = (data - inside.mean()) / (inside.std() or 1.0) + 4
    return np.where(mask, values.clip(0, 8), 0.0)


def _centre_mm(mask: Mask, affine: Array) -> Array:
    centre = np.argwhere(mask).mean(axis=0)
    return np.asarray(affine[:3, :3] @ centre + affine[:3, 3])


def _volume(mask: Mask, affine: Array) -> float:
    return float(mask.sum() * abs(np.linalg.det(affine[:3, :3])))


def _level(
    template: Template,
    target: Array,
    scan: Array,
    scan_affine: Array,
    cut: Mask,
    centres: tuple[Array, Array],
    edge_mm: float,
) -> Level:
    """Prepare both volumes with voxels of about `edge_mm`."""
    values, template_affine = _shrunk(target, template.affine, edge_mm)
    rim = ndimage.binary_dilation(template.brain_mask, iterations=RIM_VOXELS)
    seen, _ = _shrunk(rim.astype(float), template.affine, edge_mm)
    inside = seen > 0.5
    points = np.argwhere(inside) @ template_affine[:3, :3].T + template_affine[:3, 3]
    small, small_affine = _shrunk(scan, scan_affine, edge_mm)
    from_centre = np.eye(4)
    from_centre[:3, 3] = centres[1]
    to_voxel = np.linalg.inv(small_affine) @ from_centre
    return Level(points - centres[0], values[inside], small, to_voxel, cut)


def _shrunk(data: Array, affine: Array, edge_mm: float) -> tuple[Array, Array]:
    """Smooth and keep every n-th voxel, so that voxels are at most `edge_mm`."""
    steps = [max(1, int(edge_mm / size + 1e-3)) for size in spacing_of(affine)]
    sigmas = [step / 2 if step > 1 else 0.0 for step in steps]
    smooth = ndimage.gaussian_filter(data, sigmas)
    smaller = affine.copy()
    smaller[:3, :3] = affine[:3, :3] * np.array(steps)
    x, y, z = steps
    return np.ascontiguousarray(smooth[::x, ::y, ::z]), smaller


def _starts(
    template: Template, centre_mm: Array, cut: Mask, growth: float, dof: int
) -> list[Array]:
    """Return the parameters (12,) to try: each tilt, for each share left by a cut."""
    starts = []
    for share in CUT_SHARES if cut.any() else CUT_SHARES[:1]:
        part = _part_left(template.brain_mask, cut, share)
        log_scale = np.log(np.cbrt(growth * template.brain_mask.sum() / part.sum()))
        away = _centre_mm(part, template.affine) - centre_mm
        for tilt in START_TILTS_DEGREES:
            start = start_parameters(np.radians(tilt), np.zeros(3), log_scale, dof)
            start[TRANSLATION] = -linear_part(start) @ away
            starts.append(start)
    return starts


def _part_left(brain_mask: Mask, cut: Mask, share: float) -> Mask:
    """Return the template's brain without what lies beyond the cut faces."""
    left = brain_mask.copy()
    for axis, sides in enumerate(cut):
        places = np.flatnonzero(brain_mask.any(axis=tuple({0, 1, 2} - {axis})))
        lost = round((1 - share) * len(places))
        low = places[lost if sides[0] else 0]
        high = places[-1 - (lost if sides[1] else 0)]
        beyond = np.moveaxis(left, axis, 0)
        beyond[:low], beyond[high + 1 :] = False, False
    return left if left.any() else brain_mask


def _coarse_to_fine(levels: list[Level], starts: Sequence[Array], dof: int) -> Array:
    """Return the parameters of the map from template to scan."""
    tried = [
        fit(levels[0], start, dof, max_steps=15, tolerance_mm=0.2) for start in starts
    ]
    parameters, _ = min(tried, key=lambda found: found[1])
    for level in levels[1:]:
        parameters, _ = fit(level, parameters, dof, max_steps=20, tolerance_mm=0.02)
    return parameters


def _scan_to_template(
    parameters: Array, template_centre: Array, scan_centre: Array
) -> Array:
    """Return scan RAS mm to template RAS mm (4, 4)."""
    to_scan = np.eye(4)
    to_scan[:3, :3] = linear_part(parameters)
    shift = parameters[TRANSLATION] + scan_centre
    to_scan[:3, 3] = shift - to_scan[:3, :3] @ template_centre
    return np.asarray(np.linalg.inv(to_scan))


def _judge(
    transform: Array,
    scan: Array,
    brain_mask: Mask,
    scan_affine: Array,
    cut: Mask,
    target: Array,
    template: Template,
) -> Registration:
    """Compare the moved scan with the template, on the template's grid."""
    grid = (scan_affine, transform, template.affine, template.brain_mask.shape)
    moved_mask = resample_mask(brain_mask, *grid)
    moved = resample(scan.astype(np.float32), *grid, order=1)
    both = (moved_mask & template.brain_mask).sum()
    dice = 2 * both / max(moved_mask.sum() + template.brain_mask.sum(), 1)
    places = np.argwhere(template.brain_mask)
    to_scan_voxel = voxel_map(*grid[:3])
    shown = brain_in_view(places, brain_mask, cut, to_scan_voxel)
    pair = [volume[template.brain_mask][shown] for volume in (moved, target)]
    usable = shown.any() and pair[0].std() > 0 and pair[1].std() > 0
    correlation = np.corrcoef(*pair)[0, 1] if usable else 0.0
    points = places @ template.affine[:3, :3].T + template.affine[:3, 3]
    return Registration(
        transform,
        float(dice),
        float(correlation),
        float(shown.mean()),
        name_missing(points, shown),
    )
