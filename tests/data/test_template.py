"""The template on its own grid and on a model's."""

from __future__ import annotations

import numpy as np
import pytest

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.template import (
    BRAIN_CENTRE_MM,
    TEMPLATE_NAME,
    load_template,
    load_template_1mm,
    template_grid,
)
from napari_neuropretrain.errors import ConfigError


def centre_of_mass_mm(data, affine) -> np.ndarray:
    places = np.argwhere(data > 0)
    weights = data[data > 0].astype(float)
    return affine[:3, :3] @ np.average(places, axis=0, weights=weights) + affine[:3, 3]


def test_centre_is_that_of_the_brain():
    fine = load_template_1mm()
    inside = np.argwhere(fine.brain_mask)
    middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
    np.testing.assert_allclose(
        fine.affine[:3, :3] @ middle + fine.affine[:3, 3], BRAIN_CENTRE_MM
    )


def test_1mm_template():
    fine = load_template_1mm()
    assert fine.data.shape == fine.brain_mask.shape == (197, 233, 189)
    assert fine.data.dtype == np.float32
    assert fine.brain_mask.sum() / 1e6 == pytest.approx(1.883, abs=0.001)
    assert fine.name == TEMPLATE_NAME == PreprocessingContract().template


@pytest.mark.parametrize(
    ("shape", "spacing_mm"), [((96, 96, 96), 2.0), ((50, 64, 54), 3.0)]
)
def test_model_grid_shows_the_same_brain_at_the_same_place(shape, spacing_mm):
    fine, coarse = load_template_1mm(), load_template(shape, spacing_mm)
    assert coarse.data.shape == coarse.brain_mask.shape == shape
    volume_ml = coarse.brain_mask.sum() * spacing_mm**3 / 1000
    assert volume_ml == pytest.approx(fine.brain_mask.sum() / 1000, rel=0.005)
    np.testing.assert_allclose(
        centre_of_mass_mm(coarse.data, coarse.affine),
        centre_of_mass_mm(fine.data, fine.affine),
        atol=0.2,
    )
    assert (coarse.data[~coarse.brain_mask] == 0).all()


def test_own_grid_gives_the_own_values():
    fine = load_template_1mm()
    same = load_template((145, 181, 155), 1.0)
    inner = fine.data[26:171, 27:208, 0:155] * fine.brain_mask[26:171, 27:208, 0:155]
    np.testing.assert_allclose(same.data, inner, atol=1e-6)


def test_result_is_the_callers_own():
    first = load_template((20, 20, 20), 8.0)
    first.data[:] = 5
    assert load_template((20, 20, 20), 8.0).data.max() <= 1


def test_grid_is_centred():
    affine = template_grid((80, 90, 100), 2.0)
    middle = affine @ np.array([39.5, 44.5, 49.5, 1.0])
    np.testing.assert_allclose(middle[:3], BRAIN_CENTRE_MM)


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [((0, 8, 8), 2.0), ((8, 8), 2.0), ((8, 8, 8), 0.0), ((8, 8, 8), np.nan)],
)
def test_impossible_grids(shape, spacing_mm):
    with pytest.raises(ConfigError, match="three positive edges"):
        load_template(shape, spacing_mm)
