from pathlib import Path

import numpy as np
import pytest
import torch

from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import BrainMaskError
from napari_neuropretrain.preprocessing.brain_mask import measure_brain, segment_brain
from napari_neuropretrain.preprocessing.mask_network import MaskNetwork
from napari_neuropretrain.preprocessing.stripped import is_stripped
from napari_neuropretrain.synthesis.label_maps import close_brain
from napari_neuropretrain.synthesis.template_cohort import single_head


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("name", ["IXI092-HH-1436", "IXI255-HH-1882", "IXI446-HH-2325"])
def test_real_scans_against_dlmuse(shared_data: Path, name: str) -> None:
    folder = shared_data / "ixi_hh_2mm"
    scan = read_volume(folder / "t1" / f"{name}_T1.nii.gz")
    labels = read_volume(folder / "dlmuse" / f"{name}_T1_DLMUSE.nii.gz")
    reference = close_brain(labels.data > 0, 2.0, radius_mm=4.0)
    mask = segment_brain(scan.data, scan.affine)
    assert dice(mask, reference) >= 0.90
    assert not is_stripped(scan.data)
    # The same scan without its skull is recognised, and left alone.
    stripped = scan.data * reference
    assert is_stripped(stripped)
    assert dice(segment_brain(stripped, scan.affine), reference) > 0.99


def test_a_synthetic_head() -> None:
    data, affine = single_head(seed=1, spacing_mm=2.0)
    mask = segment_brain(data.astype(np.float32), affine)
    assert 1000 < mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000 < 2200


def test_the_grid_follows_the_head() -> None:
    data, affine = single_head(seed=1, spacing_mm=2.0)
    data = data.astype(np.float32)
    mask = segment_brain(data, affine)
    padded = np.pad(data, ((10, 0), (0, 12), (9, 5)), mode="edge")
    moved = segment_brain(padded, affine)[10:, :-12, 9:-5]
    assert dice(mask, moved) > 0.98


def test_a_wrong_voxel_size_is_said() -> None:
    ball = np.zeros((40, 40, 40), dtype=np.float32)
    grid = np.mgrid[:40, :40, :40] - 20
    ball[(grid**2).sum(axis=0) < 15**2] = 100
    mask = segment_brain(ball, np.eye(4))
    with pytest.raises(BrainMaskError, match=r"a.nii.*voxel size \(1\.00, 1\.00"):
        measure_brain(mask, np.eye(4), "'a.nii'")


def test_network_keeps_the_grid() -> None:
    network = MaskNetwork((4, 8)).eval()
    assert network(torch.zeros(1, 1, 16, 24, 32)).shape == (1, 2, 16, 24, 32)
