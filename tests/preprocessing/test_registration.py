"""Nine degrees of freedom: known misplacements are found, wrong ones refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_neuropretrain.data.template import Template
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.errors import RegistrationError
from napari_neuropretrain.preprocessing.registration import (
    Registration,
    check_registration,
    register_to_template,
)

Array = NDArray[np.float64]
Make = Callable[..., Any]

CENTRE_MM = np.array([0.0, -17.0, 5.0])
STRAIGHT = np.array([[3, 0, 0, -105], [0, 3, 0, -135], [0, 0, 3, -100], [0, 0, 0, 1.0]])
OBLIQUE = STRAIGHT.copy()
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (12, -7, 5), degrees=True).as_matrix() * 3
OBLIQUE[:3, 3] = CENTRE_MM - OBLIQUE[:3, :3] @ (36, 40, 36)


def angle_between(found: Array, true: Array) -> float:
    """Degrees between the rotations of two maps from template to scan."""
    turns = [
        matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
        for matrix in (found, true)
    ]
    return float(np.degrees(Rotation.from_matrix(turns[0] @ turns[1].T).magnitude()))


@pytest.mark.parametrize(
    ("degrees", "shift_mm", "scales", "affine"),
    [
        ((0, 0, 0), (0, 0, 0), (1, 1, 1), STRAIGHT),
        ((20, -10, 15), (8, -12, 10), (0.9, 1.08, 1.0), STRAIGHT),
        ((-35, 5, -8), (-6, 5, 0), (1.1, 0.95, 0.88), OBLIQUE),
    ],
)
def test_a_known_misplacement_is_recovered(
    template_3mm: Template,
    misplacement: Make,
    misplaced_scan: Make,
    brain_of: Make,
    degrees: Any,
    shift_mm: Any,
    scales: Any,
    affine: Array,
) -> None:
    to_scan = misplacement(degrees, shift_mm, scales)
    scan: Volume = misplaced_scan(template_3mm, to_scan, affine)
    mask = brain_of(scan.data, scan.affine)

    found = register_to_template(scan.data, mask, scan.affine, template_3mm)

    back = np.linalg.inv(found.transform)
    assert angle_between(back, to_scan) < 1.0
    found_scales = np.linalg.norm(back[:3, :3], axis=0)
    np.testing.assert_allclose(found_scales, scales, rtol=0.02)
    centre = np.append(CENTRE_MM, 1.0)
    np.testing.assert_allclose(back @ centre, to_scan @ centre, atol=1.0)
    # No shear: the axes of the template stay at right angles; and no reflection.
    gram = back[:3, :3].T @ back[:3, :3]
    np.testing.assert_allclose(gram, np.diag(found_scales**2), atol=1e-10)
    assert np.linalg.det(back[:3, :3]) > 0
    assert found.dice > 0.95
    assert found.correlation > 0.9
    check_registration(found, "the scan")


def test_the_same_scan_gives_the_same_bytes(
    template_4mm: Template, misplacement: Make, misplaced_scan: Make, brain_of: Make
) -> None:
    to_scan = misplacement((5, 5, 5), (3, 3, 3), (1, 1, 1))
    scan: Volume = misplaced_scan(template_4mm, to_scan, STRAIGHT)
    mask = brain_of(scan.data, scan.affine)
    once, twice = (
        register_to_template(scan.data, mask, scan.affine, template_4mm).transform
        for _ in range(2)
    )
    assert once.tobytes() == twice.tobytes()


def test_a_scan_upside_down_is_refused(
    template_4mm: Template, misplacement: Make, misplaced_scan: Make, brain_of: Make
) -> None:
    to_scan = misplacement((0, 180, 0), (0, 0, 0), (1, 1, 1))
    scan: Volume = misplaced_scan(template_4mm, to_scan, STRAIGHT)
    mask = brain_of(scan.data, scan.affine)
    found = register_to_template(scan.data, mask, scan.affine, template_4mm)
    with pytest.raises(RegistrationError, match=r"'flipped.nii' could not be aligned"):
        check_registration(found, "'flipped.nii'")


@pytest.mark.parametrize(
    ("dice", "correlation", "scale"), [(0.7, 0.6, 1), (0.9, 0.1, 1), (0.9, 0.6, 2)]
)
def test_a_poor_alignment_is_refused_with_its_numbers(
    dice: float, correlation: float, scale: float
) -> None:
    transform = np.diag([1.0, 1.0, scale, 1.0])
    poor = Registration(transform, dice, correlation)
    with pytest.raises(RegistrationError, match=rf"Dice .* {dice:.2f}.*{correlation}"):
        check_registration(poor, "the scan")
