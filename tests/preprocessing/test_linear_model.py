"""One parametrisation, four models."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_neuropretrain.preprocessing.linear_model import (
    FREE_DIRECTIONS,
    LOG_SCALE,
    PARAMETERS,
    linear_part,
    rotation_and_scales,
    start_parameters,
)


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_a_model_moves_in_as_many_directions_as_its_name_says(dof: int) -> None:
    free = FREE_DIRECTIONS[dof]
    assert free.shape == (PARAMETERS, dof)
    assert np.linalg.matrix_rank(free) == dof


@pytest.mark.parametrize("dof", [6, 7, 9, 12])
def test_no_parameters_give_a_reflection(dof: int) -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        parameters = FREE_DIRECTIONS[dof] @ draw.normal(0, 2, dof)
        linear = linear_part(parameters)
        scales = np.exp(parameters[LOG_SCALE])
        assert np.linalg.det(linear) == pytest.approx(scales.prod(), rel=1e-9)
        if dof < 12:
            gram = linear.T @ linear
            np.testing.assert_allclose(gram, np.diag(scales**2), atol=1e-9 * gram.max())


def test_rotation_and_scales_are_found_again() -> None:
    draw = np.random.default_rng(1)
    for _ in range(20):
        parameters = draw.normal(0, 0.3, PARAMETERS)
        rotation, scales = rotation_and_scales(linear_part(parameters))
        expected = Rotation.from_rotvec(parameters[:3]).as_matrix()
        np.testing.assert_allclose(rotation, expected, atol=1e-12)
        np.testing.assert_allclose(scales, np.exp(parameters[LOG_SCALE]))


def test_a_rigid_start_has_no_scale() -> None:
    turn = np.array([0.1, 0, 0])
    rigid = start_parameters(turn, np.ones(3), 0.2, dof=6)
    np.testing.assert_allclose(rigid, [0.1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    isotropic = start_parameters(turn, np.ones(3), 0.2, dof=7)
    np.testing.assert_allclose(isotropic[LOG_SCALE], 0.2)
