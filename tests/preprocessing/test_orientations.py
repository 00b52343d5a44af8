"""Left stays left, from any of the 48 storage orders to the network's grid."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from numpy.typing import NDArray

from napari_neuropretrain.config.contract import (
    BiasFieldParameters,
    PreprocessingContract,
    RegistrationParameters,
)
from napari_neuropretrain.data.template import Template
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.pipeline import Preprocessed, preprocess_scan
from napari_neuropretrain.progress import silent

pytestmark = pytest.mark.usefixtures("cheap")

ORIENTATIONS = [
    np.column_stack([order, flips])
    for order in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]
MARKER_MM = np.array([35.0, 15.0, 30.0])
"""Right, front and top of the template's centre."""
QUICK = PreprocessingContract(
    shape=(32, 40, 32),
    spacing_mm=5.0,
    bias_field=BiasFieldParameters(working_voxel_mm=32.0, iterations=(1,)),
    registration=RegistrationParameters(levels_mm=(8.0,)),
)


@pytest.fixture
def marked_head(
    template_4mm: Template,
    misplacement: Callable[..., NDArray[np.float64]],
    misplaced_scan: Callable[..., Volume],
) -> Volume:
    """The template, tilted, with a bright ball in its right half."""
    points = np.indices(template_4mm.data.shape).T @ template_4mm.affine[:3, :3].T
    away = points + template_4mm.affine[:3, 3] - MARKER_MM
    ball = (np.linalg.norm(away, axis=-1) < 12).T
    data = np.where(ball & template_4mm.brain_mask, 3.0, template_4mm.data)
    marked = Template(
        data.astype(np.float32), template_4mm.brain_mask, template_4mm.affine
    )
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -140, -175, -140
    return misplaced_scan(
        marked, misplacement((8, 3, 5), (3, -4, 5), (1, 1, 1)), affine
    )


def peak_mm(done: Preprocessed) -> NDArray[Any]:
    """Centre of the brightest voxels of the result, in template mm."""
    bright = np.argwhere(done.image > 0.9 * done.image.max()).mean(axis=0)
    return done.affine[:3, :3] @ bright + done.affine[:3, 3]


@pytest.fixture
def expected(marked_head: Volume) -> Preprocessed:
    return preprocess_scan(marked_head, QUICK, silent)


def test_the_marker_lies_where_it_was_put(expected: Preprocessed) -> None:
    assert expected.image.shape == (32, 40, 32)
    np.testing.assert_allclose(peak_mm(expected), MARKER_MM, atol=5)
    assert np.linalg.det(expected.transform[:3, :3]) > 0


def test_all_48_storage_orders_give_the_same_image(
    marked_head: Volume, expected: Preprocessed
) -> None:
    for orientation in ORIENTATIONS:
        stored = apply_orientation(marked_head.data, orientation)
        shape = marked_head.data.shape
        affine = marked_head.affine @ inv_ornt_aff(orientation, shape)
        done = preprocess_scan(Volume.from_native(stored, affine), QUICK, silent)
        np.testing.assert_allclose(peak_mm(done), MARKER_MM, atol=5)
        np.testing.assert_allclose(done.image, expected.image, atol=1e-3)
        np.testing.assert_array_equal(done.brain_mask, expected.brain_mask)
