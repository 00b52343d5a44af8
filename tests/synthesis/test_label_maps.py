import nibabel as nib
import numpy as np
import pytest
import torch

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.synthesis.label_maps import (
    close_brain,
    draw_head,
    read_head_atlas,
)

SHAPE = (32, 32, 32)


@pytest.fixture
def label_maps(tmp_path):
    """A ball of brain (2), with fluid (24), in a ball of head (500), at 6 mm."""
    grid = np.stack(
        np.mgrid[:30, :36, :30] - np.array([15, 18, 15])[:, None, None, None]
    )
    radius = np.sqrt((grid**2).sum(axis=0))
    labels = np.zeros((30, 36, 30), dtype=np.int16)
    labels[radius < 13] = 500
    labels[radius < 11] = 24
    labels[radius < 10] = 2
    for index in range(2):
        image = nib.Nifti1Image(labels, np.eye(4))
        nib.save(image, tmp_path / f"map_{index}.nii.gz")
    np.save(tmp_path / "generation_labels.npy", np.array([0, 2, 24, 500]))
    classes = np.array([0, 1, 2, 3])
    np.save(tmp_path / "generation_classes_contrast_specific.npy", classes)
    means = np.array([[0.0, 120, 40, 90], [0.0, 5, 5, 5]])
    np.save(tmp_path / "prior_means_t1.npy", means)
    np.save(tmp_path / "prior_stds_t1.npy", np.full((2, 4), 3.0))
    return tmp_path


def draw(atlas, seed):
    return draw_head(atlas, torch.Generator().manual_seed(seed), SHAPE, 1.2)


def test_the_same_seed_draws_the_same_head(label_maps) -> None:
    atlas = read_head_atlas(label_maps)
    first, again, other = draw(atlas, 3), draw(atlas, 3), draw(atlas, 4)
    assert torch.equal(first.volume, again.volume)
    assert torch.equal(first.masks, again.masks)
    assert not torch.equal(first.volume, other.volume)


def test_heads_are_finite_and_have_a_brain(label_maps) -> None:
    atlas = read_head_atlas(label_maps)
    shares = []
    for seed in range(12):
        head = draw(atlas, seed)
        assert head.volume.shape == SHAPE
        assert torch.isfinite(head.volume).all()
        assert head.volume.min() >= 0
        shares.append(float(head.masks[0].float().mean()))
    # A ball of radius 10 in a cube of 38 mm holds 7.5 %; some are cut off.
    assert 0.03 < np.median(shares) < 0.15
    assert len(set(shares)) == 12


def test_fluid_around_the_brain_is_outside_unless_closed() -> None:
    tissue = np.zeros((20, 20, 20), dtype=bool)
    tissue[4:16, 4:16, 4:16] = True
    tissue[9:11, 9:11, 10:16] = False  # a sulcus, open at the top
    closed = close_brain(tissue, spacing_mm=2.0)
    assert closed[10, 10, 12]
    assert not closed[2, 2, 2]
    assert tissue.sum() == 12**3 - 24
    assert closed.sum() >= 12**3 - 4  # a voxel at each corner of the opening


def test_a_folder_without_priors_is_refused(label_maps) -> None:
    (label_maps / "prior_means_t1.npy").unlink()
    with pytest.raises(CohortError, match=r"lacks: prior_means_t1\.npy"):
        read_head_atlas(label_maps)


def test_an_empty_folder_is_refused(tmp_path) -> None:
    with pytest.raises(CohortError, match="lacks"):
        read_head_atlas(tmp_path)
