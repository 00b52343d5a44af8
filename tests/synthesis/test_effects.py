import numpy as np
import pytest

from napari_neuropretrain.data.template import load_template, template_grid
from napari_neuropretrain.synthesis.effects import (
    EffectSizes,
    Severity,
    effect_regions_on,
    mean_effect,
)
from napari_neuropretrain.synthesis.template_cohort import effect_regions

SHAPE = (40, 40, 40)
SPACING_MM = 4.0


@pytest.fixture(scope="module")
def affine():
    return template_grid(SHAPE, SPACING_MM)


@pytest.fixture(scope="module")
def regions():
    return effect_regions(SHAPE, SPACING_MM)


def inside(mask, affine, place):
    voxel = np.linalg.inv(affine) @ [*place, 1.0]
    return bool(mask[tuple(voxel[:3].round().astype(int))])


def test_regions_are_a_small_share_of_the_brain(regions):
    brain = load_template(SHAPE, SPACING_MM).brain_mask
    for name, region in regions.items():
        share = (region & brain).sum() / brain.sum()
        assert 0.02 < share < 0.12, name
        assert (region & ~brain).sum() < 0.1 * region.sum(), name


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize(
    ("name", "place"),
    [("ad", (27, -21, -15)), ("pd", (26, 4, 2)), ("pd", (12, 12, 9))],
)
def test_regions_lie_where_atlases_put_them(regions, affine, name, place, side):
    mirrored = (side * place[0], *place[1:])
    assert inside(regions[name], affine, mirrored)
    others = set(regions) - {name, "age"}
    assert not any(inside(regions[other], affine, mirrored) for other in others)


def test_age_acts_at_the_ventricles(regions, affine):
    assert inside(regions["age"], affine, (10, 15, 12))
    assert inside(regions["age"], affine, (-10, 15, 12))


def test_diseases_do_not_share_a_region(regions):
    shared = (regions["ad"] & regions["pd"]).sum()
    assert shared < 0.05 * min(regions["ad"].sum(), regions["pd"].sum())
    assert (regions["ad"] & regions["age"]).sum() < 0.15 * regions["ad"].sum()


def test_most_of_the_change_lies_in_the_region(regions, affine):
    for name, region in regions.items():
        change = np.abs(
            mean_effect(affine, SHAPE, Severity(**{name: 1}), EffectSizes())
        )
        brain = load_template(SHAPE, SPACING_MM).brain_mask
        assert change[region].sum() / change[brain].sum() > 0.7, name


def test_no_severity_no_change(affine):
    change = mean_effect(affine, SHAPE, Severity(), EffectSizes())
    assert np.abs(change).max() == 0


def test_a_missing_effect_has_an_empty_region(affine):
    sizes = EffectSizes(pd_loss=0.0, pd_shrink_mm=0.0)
    assert not effect_regions_on(affine, SHAPE, sizes)["pd"].any()
