"""Regions of a small map, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_neuropretrain.data.volumes import write_image
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.explanation.region_table import (
    COLUMNS,
    open_regions,
    region_rows,
    regions_table,
)

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [-18, -20, -22]  # x from -18 to 18 mm: voxels 0 to 4 are left
SHAPE = (10, 10, 10)


def make_labels() -> np.ndarray:
    """On a grid of half the spacing, so that looking up is not copying."""
    labels = np.zeros((22, 22, 22))
    labels[:, 4:10, 4:10] = 7
    labels[:8, 12:16, 12:16] = 2  # x below 0 only
    return labels


def fine_affine() -> np.ndarray:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = AFFINE[:3, 3]
    return affine


def test_both_sides_of_each_region(tmp_path):
    path = write_image(tmp_path / "atlas.nii.gz", make_labels(), fine_affine())
    (tmp_path / "atlas.tsv").write_text("index\tname\n7\tHippocampus\n9\tother\n")
    labels, names = open_regions(path, AFFINE, SHAPE)
    # Voxel i of the map is voxel 2 i of the atlas.
    np.testing.assert_array_equal(labels, make_labels()[:20:2, :20:2, :20:2])
    values = np.zeros(SHAPE, dtype=np.float32)
    values[0, 2, 2] = -3.0
    values[9, 4, 4] = 1.0
    brain = np.ones(SHAPE, dtype=bool)
    brain[9, 2, 2] = False
    rows = region_rows(values, brain, AFFINE, labels, names)
    left, right, only = rows
    assert (left.region, left.name, left.side) == (7, "Hippocampus", "left")
    assert (left.voxels, left.size_mm3) == (5 * 9, 2880)
    assert left.mean == pytest.approx(-3 / 45, rel=1e-5)
    assert (left.peak, left.x_mm, left.y_mm, left.z_mm) == (-3, -18, -12, -14)
    assert (right.side, right.voxels, right.peak) == ("right", 5 * 9 - 1, 1)
    assert (only.name, only.side, only.mean) == ("region 2", "left", 0)
    lines = regions_table(rows).splitlines()
    assert lines[0].split("\t") == list(COLUMNS)
    assert lines[1].split("\t")[:3] == ["7", "Hippocampus", "left"]


def test_labels_elsewhere_are_refused(tmp_path):
    affine = fine_affine()
    affine[:3, 3] += 500
    path = write_image(tmp_path / "far.nii.gz", make_labels(), affine)
    with pytest.raises(ConfigError, match="template space"):
        open_regions(path, AFFINE, SHAPE)


def test_a_table_of_another_kind_is_refused(tmp_path):
    path = write_image(tmp_path / "atlas.nii", make_labels(), fine_affine())
    (tmp_path / "atlas.tsv").write_text("number\tlabel\n7\tHippocampus\n")
    with pytest.raises(ConfigError, match="'index'"):
        open_regions(path, AFFINE, SHAPE)
