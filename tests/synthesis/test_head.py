import numpy as np
import pytest
from scipy import ndimage

from napari_neuropretrain.synthesis.head import build_head


@pytest.fixture(scope="module")
def head():
    return build_head()


def value_at(head, x, y, z):
    voxel = np.linalg.inv(head.affine) @ [x, y, z, 1.0]
    i, j, k = voxel[:3].round().astype(int)
    return float(head.t1[i, j, k])


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [
        ((25, -25, 28), 0.80, 0.95),  # white matter
        ((26, 4, 2), 0.65, 0.80),  # putamen
        ((8, -12, 22), 0.10, 0.40),  # lateral ventricle
        ((32, 62, -38), 0.15, 0.30),  # eye
        ((0, 10, -110), 0.0, 0.08),  # airway
        ((0, -43, -100), 0.70, 0.80),  # spinal cord
        ((35, -60, -100), 0.30, 0.70),  # muscles of the neck
        ((95, 110, 100), 0.0, 0.001),  # air
    ],
)
def test_tissues_have_t1_contrast_where_atlases_put_them(head, place, low, high):
    assert low <= value_at(head, *place) <= high


def test_vault_is_dark_then_scalp_is_bright(head):
    above = np.arange(70.0, 108.0, 0.5)
    profile = np.array([value_at(head, 20, -20, z) for z in above])
    bone, fat = above[profile.argmin()], above[profile[: len(above) - 8].argmax()]
    skull = above[(profile < 0.2) & (above < 95)]
    scalp = above[(profile > 0.75) & (above > 85)]
    assert len(skull) > 3
    assert len(scalp) > 2
    assert skull.min() < scalp.min()
    assert np.isfinite([bone, fat]).all()


def test_head_is_one_piece_without_holes_to_the_air(head):
    labels, count = ndimage.label(head.t1 > 0.02)
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.max() / sizes.sum() > 0.999
    assert count < 20


def test_brain_is_a_tenth_to_a_third_of_the_head(head):
    assert 0.3 < head.brain.sum() / (head.t1 > 0.02).sum() < 0.5
    assert head.brain.sum() * 1.5**3 / 1e6 == pytest.approx(1.887, abs=0.02)


def test_head_is_symmetric_in_its_regions(head):
    for name in ("medial_temporal", "basal_ganglia", "ageing_cortex", "ventricles"):
        region = getattr(head.regions, name)
        half = region.shape[0] // 2
        left, right = region[:half].sum(), region[half:].sum()
        assert left == pytest.approx(right, rel=0.03), name
        assert 0 <= region.min() <= region.max() <= 1.0001
