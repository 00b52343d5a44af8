"""Known misplacements are found, whatever the degrees of freedom."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_neuropretrain.config.contract import RegistrationParameters
from napari_neuropretrain.data.template import Template
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.acceptance import check_registration
from napari_neuropretrain.preprocessing.agreement import Registration
from napari_neuropretrain.preprocessing.registration import register_to_template

Array = NDArray[np.float64]
Make = Callable[..., Any]

CENTRE_MM = np.array([0.0, -17.0, 5.0])
STRAIGHT = np.array([[3, 0, 0, -105], [0, 3, 0, -135], [0, 0, 3, -100], [0, 0, 0, 1.0]])
OBLIQUE = STRAIGHT.copy()
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (12, -7, 5), degrees=True).as_matrix() * 3
OBLIQUE[:3, 3] = CENTRE_MM - OBLIQUE[:3, :3] @ (36, 40, 36)


def register(
    scan: Volume, mask: NDArray[np.bool_], template: Template, dof: Any = 9
) -> Registration:
    parameters = RegistrationParameters(dof=dof)
    return register_to_template(scan.data, mask, scan.affine, template, parameters)


def turn_and_scales(to_scan: Array) -> tuple[Array, Array]:
    """Rotation and scales of a map from template to scan, by polar decomposition."""
    left, _, right = np.linalg.svd(to_scan[:3, :3])
    assert np.linalg.det(left @ right) > 0
    return left @ right, np.linalg.norm(to_scan[:3, :3], axis=0)


def angle_between(found: Array, true: Array) -> float:
    """Degrees between the rotations of two maps from template to scan."""
    turn = turn_and_scales(found)[0] @ turn_and_scales(true)[0].T
    return float(np.degrees(Rotation.from_matrix(turn).magnitude()))


@pytest.mark.parametrize(
    ("dof", "degrees", "shift_mm", "scales", "affine"),
    [
        (6, (0, 0, 0), (0, 0, 0), (1, 1, 1), STRAIGHT),
        (6, (20, -15, 12), (40, -12, 10), (1, 1, 1), STRAIGHT),
        (6, (30, 0, 0), (0, 0, -40), (1, 1, 1), OBLIQUE),
        (7, (-18, 20, 5), (8, 40, 10), (0.92, 0.92, 0.92), STRAIGHT),
        (9, (20, -10, 15), (8, -12, 10), (0.9, 1.08, 1.0), STRAIGHT),
        (9, (0, 30, 0), (-40, 0, 5), (1.12, 0.95, 0.9), STRAIGHT),
        (9, (0, 0, -30), (0, 5, 40), (0.9, 1.12, 1.0), STRAIGHT),
        (9, (-35, 5, -8), (-6, 5, 0), (1.1, 0.95, 0.9), OBLIQUE),
        (12, (20, -10, 15), (8, -12, 40), (0.95, 1.12, 1.0), STRAIGHT),
    ],
)
def test_a_known_misplacement_is_recovered(
    template_4mm: Template,
    misplacement: Make,
    misplaced_scan: Make,
    brain_of: Make,
    dof: int,
    degrees: Any,
    shift_mm: Any,
    scales: Any,
    affine: Array,
) -> None:
    to_scan = misplacement(degrees, shift_mm, scales)
    grid = affine.copy()
    grid[:3, 3] += shift_mm  # the field of view follows the head
    scan: Volume = misplaced_scan(template_4mm, to_scan, grid)

    found = register(scan, brain_of(scan.data, scan.affine), template_4mm, dof)

    back = np.linalg.inv(found.transform)
    assert angle_between(back, to_scan) < 1.0
    found_scales = turn_and_scales(back)[1]
    np.testing.assert_allclose(found_scales, scales, rtol=0.02)
    np.testing.assert_allclose(1 / np.array(found.scales), found_scales, rtol=0.02)
    centre = np.append(CENTRE_MM, 1.0)
    np.testing.assert_allclose(back @ centre, to_scan @ centre, atol=1.0)
    true_turn = Rotation.from_euler("xyz", degrees, degrees=True).magnitude()
    assert found.rotation_degrees == pytest.approx(np.degrees(true_turn), abs=1.0)
    assert found.dice > 0.94
    assert found.overlap > 0.94
    assert found.correlation > 0.9
    assert found.coverage == pytest.approx(1.0, abs=0.005)
    check_registration(found, "the scan")


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_the_recovered_matrix_has_no_more_than_was_asked_for(
    template_4mm: Template, misplaced_scan: Make, brain_of: Make, dof: int
) -> None:
    """The true map has scales and shear: each model takes what it can express."""
    to_scan = np.eye(4)
    to_scan[:3, :3] = Rotation.from_euler("xyz", (15, 5, -8), degrees=True).as_matrix()
    to_scan[:3, :3] @= np.array([[0.95, 0.08, 0], [0, 1.08, -0.06], [0, 0, 0.92]])
    to_scan[:3, 3] = CENTRE_MM - to_scan[:3, :3] @ CENTRE_MM
    scan: Volume = misplaced_scan(template_4mm, to_scan, STRAIGHT)

    found = register(scan, brain_of(scan.data, scan.affine), template_4mm, dof)

    linear = np.linalg.inv(found.transform)[:3, :3]
    gram = linear.T @ linear
    scales = np.sqrt(gram.diagonal())
    assert np.linalg.det(linear) > 0  # never a reflection
    assert angle_between(np.linalg.inv(found.transform), to_scan) < 5
    shear = np.abs(gram - np.diag(gram.diagonal())).max()
    if dof < 12:
        # The axes of the template stay at right angles.
        assert shear < 1e-10
    else:
        assert shear > 0.03
        np.testing.assert_allclose(linear, to_scan[:3, :3], atol=0.02)
    if dof == 6:
        np.testing.assert_allclose(scales, 1, atol=1e-12)
    if dof == 7:
        assert np.ptp(scales) < 1e-12
        assert scales[0] == pytest.approx(np.cbrt(0.95 * 1.08 * 0.92), rel=0.02)
    if dof >= 9:
        assert np.ptp(scales) > 0.1


def test_a_rigid_fit_of_a_smaller_head_finds_its_rotation(
    template_4mm: Template, misplacement: Make, misplaced_scan: Make, brain_of: Make
) -> None:
    to_scan = misplacement((12, -20, 25), (10, 5, -5), (0.9, 0.93, 0.9))
    scan: Volume = misplaced_scan(template_4mm, to_scan, STRAIGHT)
    found = register(scan, brain_of(scan.data, scan.affine), template_4mm, dof=6)
    assert angle_between(np.linalg.inv(found.transform), to_scan) < 1.0
    assert found.scales == pytest.approx((1, 1, 1))
    assert found.dice < 0.92  # the smaller head fills less of the template,
    assert found.overlap > 0.97  # and lies inside it


@pytest.mark.parametrize(
    ("keep", "missing", "coverage"),
    [
        (np.s_[:, :, 18:], "bottom", (0.86, 0.99)),
        (np.s_[:, :, :48], "top", (0.8, 0.95)),
        (np.s_[:, :, 35:], "bottom", (0.45, 0.65)),
        (np.s_[:35], "right", (0.4, 0.6)),
    ],
)
def test_a_cut_field_of_view_still_lands(
    template_4mm: Template,
    misplacement: Make,
    misplaced_scan: Make,
    brain_of: Make,
    keep: Any,
    missing: str,
    coverage: tuple[float, float],
) -> None:
    """The rest of the brain is not stretched over the whole template."""
    to_scan = misplacement((10, 5, -6), (0, 0, 0), (0.95, 1.0, 0.95))
    scan: Volume = misplaced_scan(template_4mm, to_scan, STRAIGHT)
    affine = scan.affine.copy()
    starts = [
        part.start or 0 for part in (keep if isinstance(keep, tuple) else (keep,))
    ]
    starts += [0] * (3 - len(starts))
    affine[:3, 3] += affine[:3, :3] @ starts
    part = Volume.from_native(scan.data[keep], affine)

    found = register(part, brain_of(part.data, part.affine), template_4mm)

    assert coverage[0] < found.coverage < coverage[1]
    assert found.missing == missing
    points = np.random.default_rng(0).uniform(-60, 60, (50, 3)) + CENTRE_MM
    points = np.column_stack([points, np.ones(50)]).T
    away = (np.linalg.inv(found.transform) - to_scan) @ points
    assert np.linalg.norm(away, axis=0).max() < 3.0


def test_thick_slices_and_a_wrong_origin_land(
    template_3mm: Template, misplacement: Make, misplaced_scan: Make, brain_of: Make
) -> None:
    to_scan = misplacement((8, -4, 5), (0, 0, 0), (0.95, 1.0, 1.05))
    scan: Volume = misplaced_scan(template_3mm, to_scan, STRAIGHT)
    thick = ndimage.uniform_filter1d(scan.data, 3, axis=2)[:, :, 1::3]  # 3 x 3 x 9 mm
    affine = STRAIGHT @ np.diag([1, 1, 3, 1])
    affine[2, 3] += 3
    moved = np.eye(4)
    moved[:3, 3] = 100, -100, 100
    scan = Volume.from_native(thick, moved @ affine)

    found = register(scan, brain_of(scan.data, scan.affine), template_3mm)

    back, true = np.linalg.inv(found.transform), moved @ to_scan
    assert angle_between(back, true) < 1.0
    np.testing.assert_allclose(turn_and_scales(back)[1], (0.95, 1, 1.05), rtol=0.03)
    centre = np.append(CENTRE_MM, 1.0)
    np.testing.assert_allclose(back @ centre, true @ centre, atol=1.5)


def test_a_single_level_is_enough_to_run(
    template_4mm: Template, misplacement: Make, misplaced_scan: Make, brain_of: Make
) -> None:
    to_scan = misplacement((5, 5, 5), (3, 3, 3), (1, 1, 1))
    scan: Volume = misplaced_scan(template_4mm, to_scan, STRAIGHT)
    mask = brain_of(scan.data, scan.affine)
    parameters = RegistrationParameters(levels_mm=(8.0,))
    found = register_to_template(scan.data, mask, scan.affine, template_4mm, parameters)
    assert angle_between(np.linalg.inv(found.transform), to_scan) < 1.0


SCRIPT = """
import hashlib
import numpy as np
from scipy import ndimage
from napari_neuropretrain.data.template import Template
from napari_neuropretrain.preprocessing.registration import register_to_template

places = np.indices((32, 40, 32)) - np.array([16, 20, 16]).reshape(3, 1, 1, 1)
brain = (places.T / (11, 14, 11)).T ** 2
brain = brain.sum(axis=0) < 1
noise = np.random.default_rng(0).normal(size=brain.shape)
data = np.where(brain, ndimage.gaussian_filter(noise, 2) * 10 + 5, 0)
affine = np.diag([5.0, 5.0, 5.0, 1.0])
template = Template(data.astype(np.float32), brain, affine)
turned = ndimage.rotate(data, 12, reshape=False, order=1).astype(np.float32)
found = register_to_template(turned, turned > 1, affine, template)
print(hashlib.sha256(found.transform.tobytes()).hexdigest(), found.rotation_degrees)
"""


def test_the_same_scan_gives_the_same_bytes_in_any_process_with_any_threads() -> None:
    lines = []
    for threads in ("1", "1", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        lines.append(done.stdout.strip())
    assert lines[0] == lines[1] == lines[2]
    assert float(lines[0].split()[1]) == pytest.approx(12, abs=1)
