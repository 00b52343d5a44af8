import numpy as np
import pytest

from napari_neuropretrain.synthesis.deformation import (
    lattice_points,
    pull_towards,
    random_displacement,
    refine,
    rotation,
    sample,
)


@pytest.fixture
def ball():
    grid = np.indices((40, 40, 40)) - 19.5
    return (np.sqrt((grid**2).sum(0)) < 8).astype(np.float32)


@pytest.mark.parametrize(("amount", "grown"), [(2.0, True), (-2.0, False)])
def test_a_region_grows_by_its_pull_and_shrinks_by_the_opposite(ball, amount, grown):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    field = pull_towards(ball, affine, sigma_mm=6.0)
    points = refine(lattice_points(ball.shape, affine), ball.shape)
    moved = sample(ball, affine, points + np.float32(amount) * field.at(points))
    radius = (moved.sum() / ball.sum()) ** (1 / 3) * 16
    assert radius == pytest.approx(16 + amount, abs=0.5)
    assert (radius > 16) == grown


def test_refined_lattice_is_exact_for_an_oblique_grid():
    affine = np.eye(4)
    affine[:3, :3] = rotation(np.array([5.0, -7.0, 11.0])) * 2.0
    affine[:3, 3] = (-10, 20, 3)
    shape = (13, 17, 9)
    points = refine(lattice_points(shape, affine), shape)
    voxels = np.indices(shape).reshape(3, -1)
    exact = (affine[:3, :3] @ voxels + affine[:3, 3:]).reshape(3, *shape)
    assert np.abs(points - exact).max() < 1e-3


def test_random_displacement_is_smooth_and_of_the_asked_length():
    low, extent = np.array([-90.0, -120, -110]), np.array([190.0, 240, 220])
    rng = np.random.default_rng(0)
    field = random_displacement(rng, low, extent, rms_mm=3.0)
    length = np.sqrt((field.vectors**2).sum(0).mean())
    assert length == pytest.approx(3.0, rel=0.25)
    step = field.affine[0, 0]
    slopes = [np.abs(np.gradient(axis, step)).max() for axis in field.vectors]
    # Below 1 nothing folds.
    assert max(slopes) < 0.8


def test_a_rotation_keeps_lengths_and_hands():
    turn = rotation(np.array([10.0, 20.0, 30.0]))
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)
