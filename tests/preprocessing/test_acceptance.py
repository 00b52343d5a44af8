"""What is wrong with an alignment is said in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_neuropretrain.config.contract import RegistrationParameters
from napari_neuropretrain.data.template import Template, load_template
from napari_neuropretrain.data.volumes import Volume, read_volume
from napari_neuropretrain.errors import RegistrationError
from napari_neuropretrain.preprocessing.acceptance import (
    MIN_CORRELATION,
    check_registration,
)
from napari_neuropretrain.preprocessing.agreement import Registration
from napari_neuropretrain.preprocessing.registration import register_to_template
from napari_neuropretrain.synthesis.label_maps import close_brain

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
Make = Callable[..., Any]
GRID = np.array([[4, 0, 0, -141], [0, 4, 0, -175], [0, 0, 4, -139], [0, 0, 0, 1.0]])


def refusal_of(found: Registration) -> str:
    with pytest.raises(RegistrationError) as caught:
        check_registration(found, "'scan.nii'")
    message = str(caught.value)
    assert message.startswith("'scan.nii' could not be aligned with the MNI152")
    assert f"correlation {found.correlation:.2f}" in message
    return message


def poor(
    scales: tuple[float, float, float] = (1, 1, 1), turn: float = 0, **changed: Any
) -> Registration:
    values = {"dice": 0.96, "overlap": 0.97, "correlation": 0.55} | changed
    values.setdefault("likeness", values["correlation"])
    transform = np.diag([*scales, 1.0])
    transform[:3, :3] @= Rotation.from_euler("x", turn, degrees=True).as_matrix()
    return Registration(transform, **values)


def test_an_alignment_like_those_of_real_scans_is_accepted() -> None:
    check_registration(poor((1.15, 1.0, 1.3)), "the scan")
    check_registration(poor(correlation=0.46), "the scan")
    check_registration(poor(coverage=0.9, missing="top"), "the scan")
    # A rigid fit of a small head: Dice is low, the overlap is not.
    rigid = poor(dice=0.75, overlap=0.97, correlation=0.2, likeness=0.5)
    check_registration(rigid, "the scan")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (poor(coverage=0.55, missing="top"), "shows 55% .* the top of the brain is"),
        (poor(overlap=0.7), "70% of the brain lies in the template's"),
        (poor((1, 1, 2)), "stretched beyond 0.7 to 1.5. Check the voxel size"),
        (poor((0.9, 1, 1.4)), "stretched 1.56 times more along one axis"),
        (poor(turn=75), "turned by 75 degrees.* left and right"),
        (poor(correlation=0.2), "upside down or back to front"),
        (poor(correlation=-0.3), "dark where a T1-weighted one is bright"),
    ],
)
def test_a_poor_alignment_is_refused_with_its_reason(
    found: Registration, words: str
) -> None:
    message = refusal_of(found)
    assert re.search(words, message), message


@pytest.mark.parametrize("degrees", [(180, 0, 0), (0, 180, 0), (0, 90, 0), (0, 0, 90)])
def test_a_head_stored_the_wrong_way_round_is_refused(
    template_4mm: Template,
    misplacement: Make,
    misplaced_scan: Make,
    brain_of: Make,
    degrees: Any,
) -> None:
    to_scan = misplacement(degrees, (0, 0, 0), (1, 1, 1))
    scan: Volume = misplaced_scan(template_4mm, to_scan, GRID)
    mask = brain_of(scan.data, scan.affine)
    refusal_of(register_to_template(scan.data, mask, scan.affine, template_4mm))


def test_inverted_grey_values_are_refused(
    template_4mm: Template, misplacement: Make, misplaced_scan: Make, brain_of: Make
) -> None:
    to_scan = misplacement((5, 5, 5), (0, 0, 0), (1, 1, 1))
    scan: Volume = misplaced_scan(template_4mm, to_scan, GRID)
    mask = brain_of(scan.data, scan.affine)
    inverted = np.where(mask, scan.data.max() - scan.data, 0).astype(np.float32)
    found = register_to_template(inverted, mask, scan.affine, template_4mm)
    assert "another contrast, or inverted grey values" in refusal_of(found)


@pytest.mark.parametrize(("slices", "part"), [(slice(35, None), "bottom")])
def test_half_a_brain_is_refused_and_a_little_less_is_not(
    template_4mm: Template,
    misplacement: Make,
    misplaced_scan: Make,
    brain_of: Make,
    slices: slice,
    part: str,
) -> None:
    to_scan = misplacement((5, 5, 5), (0, 0, 0), (1, 1, 1))
    scan: Volume = misplaced_scan(template_4mm, to_scan, GRID)
    mask = brain_of(scan.data, scan.affine)
    half = register_to_template(
        scan.data[:, :, slices], mask[:, :, slices], scan.affine, template_4mm
    )
    assert f"the {part} of the brain is missing" in refusal_of(half)
    most = register_to_template(
        scan.data[:, :, 22:], mask[:, :, 22:], scan.affine, template_4mm
    )
    assert 0.85 < most.coverage < 0.99
    check_registration(most, "the scan")


@pytest.fixture(scope="module")
def real_brain() -> tuple[Any, Any, Any, Template]:
    """An IXI scan at 2 mm with the brain of its reference labels."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real scans are missing: there is no folder {SHARED_DATA}")
    folder, name = SHARED_DATA / "ixi_hh_2mm", "IXI049-HH-1358_T1"
    scan = read_volume(folder / f"t1/{name}.nii.gz")
    labels = read_volume(folder / f"dlmuse/{name}_DLMUSE.nii.gz")
    mask = close_brain(labels.data > 0, 2.0)
    return scan.data, mask, scan.affine, load_template((64, 64, 64), 3.0)


QUICK = RegistrationParameters(levels_mm=(8.0, 4.0))


def test_a_real_scan_is_accepted(real_brain: Any) -> None:
    found = register_to_template(*real_brain, QUICK)
    check_registration(found, "the scan")
    assert found.dice > 0.94
    assert found.correlation > 0.5
    assert found.coverage == 1.0


@pytest.mark.parametrize("dof", [6, 7])
def test_a_real_scan_is_accepted_with_fewer_degrees_of_freedom(
    real_brain: Any, dof: Any
) -> None:
    found = register_to_template(*real_brain, QUICK.replace(dof=dof))
    check_registration(found, "the scan")
    assert found.correlation < found.likeness


@pytest.mark.parametrize(
    ("flips", "posture"),
    [
        ((1, 1, -1), "upside down"),
        ((1, -1, 1), "back to front"),
        ((-1, -1, 1), "back to front"),
    ],
)
def test_a_real_scan_with_a_wrong_header_is_refused(
    real_brain: Any, flips: tuple[int, int, int], posture: str
) -> None:
    """Upside down, back to front, and turned half round."""
    data, mask, affine, template = real_brain
    (data, mask) = (
        np.ascontiguousarray(one[:: flips[0], :: flips[1], :: flips[2]])
        for one in (data, mask)
    )
    found = register_to_template(data, mask, affine, template, QUICK)
    assert found.correlation < MIN_CORRELATION
    assert f"the head lies {posture}" in refusal_of(found)


def test_a_real_scan_with_other_contrasts_is_refused(real_brain: Any) -> None:
    data, mask, affine, template = real_brain
    highest = np.percentile(data[mask], 99.5)
    inverted = (highest - data).clip(0)
    found = register_to_template(inverted, mask, affine, template, QUICK)
    assert "another contrast" in refusal_of(found)


@pytest.mark.parametrize(("side", "missing"), [(0, "bottom"), (1, "top")])
def test_half_of_a_real_brain_is_refused(
    real_brain: Any, side: int, missing: str
) -> None:
    data, mask, affine, template = real_brain
    places = np.flatnonzero(mask.any(axis=(0, 1)))
    middle = int(places.mean())
    keep = np.s_[:, :, :middle] if side else np.s_[:, :, middle:]
    found = register_to_template(data[keep], mask[keep], affine, template, QUICK)
    assert 0.35 < found.coverage < 0.65
    assert f"the {missing} of the brain is missing" in refusal_of(found)
