"""One interpolation, and left stays left."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff

from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.resampling import (
    crop_to_brain,
    map_to_scan,
    resample,
    resample_mask,
)

GRID = np.diag([2.0, 2.0, 2.0, 1.0])
GRID[:3, 3] = -23
SHAPE = (24, 24, 24)
ORIENTATIONS = [
    np.column_stack([order, flips])
    for order in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]


def marked_scan() -> tuple[np.ndarray, np.ndarray]:
    """A box with a bright marker to the right, front and top of its centre."""
    affine = np.diag([2.0, 3.0, 2.5, 1.0])
    affine[:3, 3] = -20, -25, -24
    voxels = np.zeros((21, 17, 19), np.float32)
    voxels[3:18, 3:14, 3:16] = 1.0
    voxels[14:16, 11:13, 12:14] = 9.0
    return voxels, affine


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_the_marker_keeps_its_side_for_all_48_storage_orders(
    orientation: np.ndarray,
) -> None:
    voxels, affine = marked_scan()
    stored = apply_orientation(voxels, orientation)
    stored_affine = affine @ inv_ornt_aff(orientation, voxels.shape)
    scan = Volume.from_native(stored, stored_affine)

    moved = resample(scan.data, scan.affine, np.eye(4), GRID, SHAPE)

    expected = resample(voxels, affine, np.eye(4), GRID, SHAPE)
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    brightest = np.unravel_index(moved.argmax(), SHAPE)
    right, front, top = GRID[:3, :3] @ brightest + GRID[:3, 3]
    assert right == pytest.approx(9, abs=2)
    assert front == pytest.approx(9.5, abs=2)
    assert top == pytest.approx(7.25, abs=2)


def test_a_shift_moves_the_scan_in_the_direction_of_the_transform() -> None:
    voxels, affine = marked_scan()
    to_the_right = np.eye(4)
    to_the_right[0, 3] = 4.0  # two voxels of the grid
    still = resample(voxels, affine, np.eye(4), GRID, SHAPE)
    moved = resample(voxels, affine, to_the_right, GRID, SHAPE)
    np.testing.assert_allclose(moved[2:], still[:-2], atol=1e-5)


def test_the_spline_stays_within_the_range_of_the_scan() -> None:
    voxels, affine = marked_scan()
    moved = resample(voxels, affine, np.eye(4), GRID, SHAPE)
    assert moved.min() >= 0
    assert moved.max() <= 9
    assert moved.dtype == np.float32


def test_a_fine_scan_is_not_aliased() -> None:
    """A 1 mm checkerboard is grey at 2 mm, not black or white."""
    board = (np.indices((48, 48, 48)).sum(axis=0) % 2).astype(np.float32)
    fine = np.diag([1.0, 1.0, 1.0, 1.0])
    fine[:3, 3] = -23
    moved = resample(board, fine, np.eye(4), GRID, SHAPE)[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(moved, 0.5, atol=0.06)


def test_a_mask_keeps_its_volume() -> None:
    voxels, affine = marked_scan()
    mask = voxels > 0
    moved = resample_mask(mask, affine, np.eye(4), GRID, SHAPE)
    assert moved.dtype == bool
    assert moved.sum() * 8 == pytest.approx(mask.sum() * 15, rel=0.06)


def test_a_map_returns_to_where_it_came_from() -> None:
    voxels, affine = marked_scan()
    transform = np.eye(4)
    transform[:3, :3] = np.array([[0.9, -0.1, 0], [0.1, 0.95, 0], [0, 0, 1.1]])
    transform[:3, 3] = 2, -1, 3
    smooth = np.exp(-((np.indices(SHAPE) - 12) ** 2).sum(axis=0) / 40)
    on_scan = map_to_scan(
        smooth.astype(np.float32), GRID, transform, affine, voxels.shape
    )
    again = resample(on_scan, affine, transform, GRID, SHAPE)
    assert on_scan.shape == voxels.shape
    assert np.corrcoef(again.ravel(), smooth.ravel())[0, 1] > 0.98
    peak = np.append(np.unravel_index(on_scan.argmax(), on_scan.shape), 1)
    at = (transform @ affine @ peak)[:3]
    np.testing.assert_allclose(at, GRID[:3, :3] @ (12, 12, 12) + GRID[:3, 3], atol=2)


def test_the_box_around_the_brain_stays_in_its_place() -> None:
    voxels, affine = marked_scan()
    box, mask, box_affine = crop_to_brain(voxels, voxels > 1, affine, 5.0)
    assert box.shape == mask.shape == (8, 6, 6)
    whole = resample(voxels, affine, np.eye(4), GRID, SHAPE, order=1)
    part = resample(box, box_affine, np.eye(4), GRID, SHAPE, order=1)
    marker = whole > 5
    assert marker.any()
    np.testing.assert_allclose(part[marker], whole[marker], atol=1e-5)
