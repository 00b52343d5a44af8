"""Round trips between nibabel, napari, torch and ITK over all orientations."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_neuropretrain.data.orientation import (
    from_canonical,
    from_channels_first,
    from_itk,
    from_napari,
    obliqueness_degrees,
    swap_ras_lps_transform,
    to_canonical,
    to_channels_first,
    to_itk,
    to_napari,
)

SHAPE = (3, 4, 5)
ALL_48 = [
    pytest.param(axes, signs, id="".join("RLAPSI"[2 * a + (s < 0)] for a, s in pairs))
    for axes in permutations(range(3))
    for signs in product((1, -1), repeat=3)
    for pairs in [list(zip(axes, signs, strict=True))]
]


def native_affine(axes, signs) -> np.ndarray:
    """Array axis i runs along world axis axes[i], with 1.5, 2 and 2.5 mm voxels."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, column] = sign * (1.5 + 0.5 * column)
    affine[:3, 3] = 10, -20, 30
    return affine


def tilt() -> np.ndarray:
    turn = np.eye(4)
    c, s = np.cos(0.2), np.sin(0.2)
    turn[:2, :2] = [[c, -s], [s, c]]
    return turn


def world(affine, index) -> np.ndarray:
    return affine[:3, :3] @ np.array(index) + affine[:3, 3]


@pytest.mark.parametrize("oblique", [False, True], ids=["straight", "oblique"])
@pytest.mark.parametrize(("axes", "signs"), ALL_48)
def test_every_orientation_survives_the_round_trip(axes, signs, oblique):
    affine = (tilt() if oblique else np.eye(4)) @ native_affine(axes, signs)
    voxels = np.arange(60).reshape(SHAPE)

    data, canonical = to_canonical(voxels, affine)

    dominant = np.abs(canonical[:3, :3]).argmax(axis=0)
    assert dominant.tolist() == [0, 1, 2]
    assert (canonical[:3, :3].diagonal() > 0).all()
    np.testing.assert_array_equal(from_canonical(data, affine), voxels)
    # Each value keeps its place in the world.
    for index in np.ndindex(*SHAPE):
        (place,) = np.argwhere(data == voxels[index])
        np.testing.assert_allclose(world(canonical, place), world(affine, index))


@pytest.mark.parametrize(("axes", "signs"), ALL_48)
def test_napari_layer_puts_each_voxel_where_the_file_does(axes, signs):
    affine = native_affine(axes, signs)
    voxels = np.arange(60).reshape(SHAPE)

    placement = to_napari(*to_canonical(voxels, affine))

    for index in np.ndindex(*SHAPE):
        (zyx,) = np.argwhere(placement.data == voxels[index])
        shown = zyx * np.array(placement.scale) + np.array(placement.translate)
        np.testing.assert_allclose(shown[::-1], world(affine, index))
    np.testing.assert_array_equal(
        from_canonical(from_napari(placement.data), affine), voxels
    )


def test_napari_keeps_the_centre_of_an_oblique_scan():
    affine = tilt() @ native_affine((0, 1, 2), (1, 1, 1))
    placement = to_napari(np.zeros(SHAPE), affine)

    middle = (np.array(SHAPE) - 1) / 2
    shown = np.array(placement.scale) * middle[::-1] + np.array(placement.translate)

    np.testing.assert_allclose(shown[::-1], world(affine, middle))
    np.testing.assert_allclose(placement.scale, (2.5, 2.0, 1.5))


@pytest.mark.parametrize(("axes", "signs"), ALL_48)
def test_itk_geometry_gives_the_affine_back(axes, signs):
    affine = tilt() @ native_affine(axes, signs)

    geometry = to_itk(affine)

    np.testing.assert_allclose(from_itk(*geometry), affine)
    np.testing.assert_allclose(geometry.origin, (-1, -1, 1) * affine[:3, 3])
    np.testing.assert_allclose(
        geometry.direction.T @ geometry.direction, np.eye(3), atol=1e-12
    )


def test_itk_geometry_agrees_with_simpleitk(oblique_image):
    sitk = pytest.importorskip("SimpleITK")
    from napari_neuropretrain.data.volumes import read_volume

    image = sitk.ReadImage(str(oblique_image))
    affine = from_itk(image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    np.testing.assert_allclose(
        affine, read_volume(oblique_image).native_affine, atol=1e-3
    )


def test_lps_transform_moves_the_same_point():
    transform = tilt()
    transform[:3, 3] = 1, 2, 3
    point = np.array([4.0, 5.0, 6.0, 1.0])
    flip = np.array([-1, -1, 1, 1])

    moved = swap_ras_lps_transform(transform) @ (point * flip) * flip

    np.testing.assert_allclose(moved, transform @ point)
    np.testing.assert_allclose(
        swap_ras_lps_transform(swap_ras_lps_transform(transform)), transform
    )


def test_obliqueness_is_the_angle_of_the_tilt():
    assert obliqueness_degrees(tilt()) == pytest.approx(np.degrees(0.2))
    assert obliqueness_degrees(native_affine((2, 0, 1), (-1, 1, -1))) == 0


def test_channels_first_keeps_values_and_is_contiguous():
    data = np.arange(60).reshape(SHAPE).transpose(2, 0, 1)
    tensor = to_channels_first(data)
    assert tensor.shape == (1, 5, 3, 4)
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(from_channels_first(tensor), data)
