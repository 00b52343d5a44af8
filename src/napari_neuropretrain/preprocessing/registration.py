"""Linear registration with nine degrees of freedom to the MNI152 brain.

Three rotations, three translations and three scales along the template's axes;
no shear, and never a reflection. The fit runs at 8, 4 and 2 mm from several
tilts of the head; `alignment` has the method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_neuropretrain.data.orientation import spacing_of
from napari_neuropretrain.data.template import Template
from napari_neuropretrain.errors import RegistrationError
from napari_neuropretrain.preprocessing.alignment import (
    LOG_SCALE,
    Array,
    Level,
    fit,
    linear_part,
)
from napari_neuropretrain.preprocessing.resampling import resample, resample_mask

LEVELS_MM = (8.0, 4.0, 2.0)
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
"""Tilts about the left-right, front-back and vertical axis tried at 8 mm."""
RIM_VOXELS = 2
"""The fit also sees so much of the emptiness around the template's brain."""
MIN_DICE = 0.80
MIN_CORRELATION = 0.40
"""Real scans reach 0.5 to 0.65; upside down or back to front, they stay under 0.37."""
SCALE_RANGE = (0.6, 1.6)


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
        Correlation of the intensities inside the template's brain.
    """

    transform: NDArray[np.float64]
    dice: float
    correlation: float


def register_to_template(
    data: NDArray[np.float32],
    brain_mask: NDArray[np.bool_],
    affine: ArrayLike,
    template: Template,
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

    Returns
    -------
    Registration
        Not yet checked; see `check_registration`.
    """
    scan_affine = np.asarray(affine, dtype=float)
    scan = _standardised(data, brain_mask)
    target = _standardised(template.data, template.brain_mask)
    centres = (
        _centre_mm(template.brain_mask, template.affine),
        _centre_mm(brain_mask, scan_affine),
    )
    # The finest level first, so that a 1 mm scan is smoothed at full size only once.
    small, small_affine = _shrunk(scan, scan_affine, LEVELS_MM[-1])
    levels = [
        _level(template, target, small, small_affine, centres, edge_mm)
        for edge_mm in LEVELS_MM
    ]
    growth = _volume(brain_mask, scan_affine)
    growth /= _volume(template.brain_mask, template.affine)
    parameters = _coarse_to_fine(levels, np.log(np.cbrt(growth)))
    transform = _scan_to_template(parameters, *centres)
    return _judge(transform, scan, brain_mask, scan_affine, target, template)


def check_registration(registration: Registration, name: str) -> None:
    """Refuse an alignment that cannot be right.

    Raises
    ------
    RegistrationError
        If the overlap, the correlation or a scale is out of range; says which.
    """
    scales = 1 / np.linalg.norm(np.linalg.inv(registration.transform)[:3, :3], axis=0)
    low, high = SCALE_RANGE
    if (
        registration.dice >= MIN_DICE
        and registration.correlation >= MIN_CORRELATION
        and low <= scales.min()
        and scales.max() <= high
    ):
        return
    stretched = ", ".join(f"{scale:.2f}" for scale in scales)
    raise RegistrationError(
        f"{name} could not be aligned with the MNI152 template: Dice of the brain "
        f"masks {registration.dice:.2f} (at least {MIN_DICE:.2f} is needed), "
        f"correlation {registration.correlation:.2f} (at least {MIN_CORRELATION:.2f}), "
        f"scales {stretched} ({low} to {high}). Look at the scan: it must be "
        "T1-weighted, show the whole brain, and have a header with the true "
        "orientation."
    )


def _standardised(data: NDArray[np.float32], mask: NDArray[np.bool_]) -> Array:
    """Return the brain with mean 4 and deviation 1, capped to 0..8, and 0 around it.

    The offset keeps the brain's edge visible to the fit.
    """
    inside = data[mask].astype(float)
    values = (data - inside.mean()) / (inside.std() or 1.0) + 4
    return np.where(mask, values.clip(0, 8), 0.0)


def _centre_mm(mask: NDArray[np.bool_], affine: Array) -> Array:
    centre = np.argwhere(mask).mean(axis=0)
    return np.asarray(affine[:3, :3] @ centre + affine[:3, 3])


def _volume(mask: NDArray[np.bool_], affine: Array) -> float:
    return float(mask.sum() * abs(np.linalg.det(affine[:3, :3])))


def _level(
    template: Template,
    target: Array,
    scan: Array,
    scan_affine: Array,
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
    return Level(points - centres[0], values[inside], small, to_voxel)


def _shrunk(data: Array, affine: Array, edge_mm: float) -> tuple[Array, Array]:
    """Smooth and keep every n-th voxel, so that voxels are at most `edge_mm`."""
    steps = [max(1, int(edge_mm / size + 1e-3)) for size in spacing_of(affine)]
    sigmas = [step / 2 if step > 1 else 0.0 for step in steps]
    smooth = ndimage.gaussian_filter(data, sigmas)
    smaller = affine.copy()
    smaller[:3, :3] = affine[:3, :3] * np.array(steps)
    x, y, z = steps
    return np.ascontiguousarray(smooth[::x, ::y, ::z]), smaller


def _coarse_to_fine(levels: list[Level], log_scale: float) -> Array:
    """Return the nine parameters of the map from template to scan."""
    tried = []
    for tilt in START_TILTS_DEGREES:
        start = np.zeros(9)
        start[:3] = np.radians(tilt)
        start[LOG_SCALE] = log_scale
        tried.append(fit(levels[0], start, max_steps=15, tolerance_mm=0.2))
    parameters, _ = min(tried, key=lambda found: found[1])
    for level in levels[1:]:
        parameters, _ = fit(level, parameters, max_steps=20, tolerance_mm=0.02)
    return parameters


def _scan_to_template(
    parameters: Array, template_centre: Array, scan_centre: Array
) -> Array:
    """Return scan RAS mm to template RAS mm (4, 4)."""
    to_scan = np.eye(4)
    to_scan[:3, :3] = linear_part(parameters)
    shift = parameters[3:6] + scan_centre
    to_scan[:3, 3] = shift - to_scan[:3, :3] @ template_centre
    return np.asarray(np.linalg.inv(to_scan))


def _judge(
    transform: Array,
    scan: Array,
    brain_mask: NDArray[np.bool_],
    scan_affine: Array,
    target: Array,
    template: Template,
) -> Registration:
    """Compare the moved scan with the template, on the template's grid."""
    grid = (scan_affine, transform, template.affine, template.brain_mask.shape)
    moved_mask = resample_mask(brain_mask, *grid)
    moved = resample(scan.astype(np.float32), *grid, order=1)
    both = (moved_mask & template.brain_mask).sum()
    dice = 2 * both / max(moved_mask.sum() + template.brain_mask.sum(), 1)
    pair = moved[template.brain_mask], target[template.brain_mask]
    usable = pair[0].std() > 0 and pair[1].std() > 0
    correlation = np.corrcoef(*pair)[0, 1] if usable else 0.0
    return Registration(transform, float(dice), float(correlation))
