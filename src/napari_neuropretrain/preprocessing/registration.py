"""Linear registration of a brain with the MNI152 brain.

Nine degrees of freedom unless the contract says otherwise: three rotations, three
translations and three scales along the template's axes; no shear, and never a
reflection. The fit runs from coarse to fine from several tilts of the head.
`linear_model` has the degrees of freedom, `alignment` the method, `field_of_view`
what happens where the brain is cut off, and `acceptance` the check of the result.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_neuropretrain.config.contract import RegistrationParameters
from napari_neuropretrain.data.template import Template
from napari_neuropretrain.preprocessing.agreement import (
    Registration,
    judge_alignment,
)
from napari_neuropretrain.preprocessing.alignment import fit
from napari_neuropretrain.preprocessing.field_of_view import (
    Mask,
    cut_faces,
    keep_share,
)
from napari_neuropretrain.preprocessing.linear_model import (
    ROTATION,
    TRANSLATION,
    Array,
    linear_part,
    start_parameters,
)
from napari_neuropretrain.preprocessing.pyramid import (
    Level,
    build_levels,
    centre_mm,
    standardise_brain,
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

STRETCHED_DOF = 9
"""A scan that may stretch so much looks like the template, if it is right."""

CERTAIN_LIKENESS = 0.5
"""Most right ones have more, and no wrong one has: only then nothing else is tried."""
POSTURE_LIKENESS = 0.35
"""Another contrast looks like the template in no posture."""
TURNS_DEGREES = {
    "upside down": (0, 180, 0),
    "back to front": (0, 0, 180),
    "upside down and back to front": (180, 0, 0),
}


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
    scan = standardise_brain(data, brain_mask)
    sizes = parameters.levels_mm
    levels = build_levels(scan, brain_mask, scan_affine, template, sizes)
    starts = _starts(template, brain_mask, scan_affine, parameters.dof)
    tried = [_fit_start(levels[0], start, parameters.dof) for start in starts]
    best, _ = min(tried, key=lambda found: found[1])

    def judged(
        levels: list[Level], start: Array, dof: int
    ) -> tuple[Array, Registration]:
        found = _refine(levels, start, dof)
        transform = _scan_to_template(found, brain_mask, scan_affine, template)
        return found, judge_alignment(
            transform, scan, brain_mask, scan_affine, template
        )

    # A single level is fitted to the end, too.
    found, registration = judged(levels[1:] or levels, best, parameters.dof)
    if parameters.dof < STRETCHED_DOF:
        _, stretched = judged(levels, found, STRETCHED_DOF)
        registration = replace(registration, likeness=stretched.correlation)
    if registration.likeness >= CERTAIN_LIKENESS:
        return registration
    likeness = {}
    for posture, turn in TURNS_DEGREES.items():
        start = starts[0].copy()
        start[ROTATION] = np.radians(turn)
        _, turned = judged(levels, start, STRETCHED_DOF)
        likeness[posture] = turned.correlation
    posture = max(likeness, key=lambda name: likeness[name])
    better = likeness[posture] > max(registration.likeness, POSTURE_LIKENESS)
    return replace(registration, posture=posture if better else "")


def _starts(
    template: Template, brain_mask: Mask, affine: Array, dof: int
) -> list[Array]:
    """Return the parameters (12,) to try: each tilt, for each share left by a cut."""
    cut = cut_faces(brain_mask, affine)
    starts = []
    for share in CUT_SHARES if cut.any() else CUT_SHARES[:1]:
        part = keep_share(template.brain_mask, cut, share)
        growth = _volume(brain_mask, affine) / _volume(part, template.affine)
        away = centre_mm(part, template.affine)
        away -= centre_mm(template.brain_mask, template.affine)
        for tilt in START_TILTS_DEGREES:
            log_scale = float(np.log(growth) / 3)
            start = start_parameters(np.radians(tilt), np.zeros(3), log_scale, dof)
            start[TRANSLATION] = -linear_part(start) @ away
            starts.append(start)
    return starts


def _volume(mask: Mask, affine: Array) -> float:
    return float(mask.sum() * abs(np.linalg.det(affine[:3, :3])))


def _fit_start(level: Level, start: Array, dof: int) -> tuple[Array, float]:
    return fit(level, start, dof, max_steps=15, tolerance_mm=0.2)


def _refine(levels: list[Level], parameters: Array, dof: int) -> Array:
    for level in levels:
        parameters, _ = fit(level, parameters, dof, max_steps=20, tolerance_mm=0.02)
    return parameters


def _scan_to_template(
    parameters: Array, brain_mask: Mask, scan_affine: Array, template: Template
) -> Array:
    """Return scan RAS mm to template RAS mm (4, 4)."""
    to_scan = np.eye(4)
    to_scan[:3, :3] = linear_part(parameters)
    shift = parameters[TRANSLATION] + centre_mm(brain_mask, scan_affine)
    middle = centre_mm(template.brain_mask, template.affine)
    to_scan[:3, 3] = shift - to_scan[:3, :3] @ middle
    return np.asarray(np.linalg.inv(to_scan))
