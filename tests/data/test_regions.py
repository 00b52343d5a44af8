"""Region volumes from label maps and from tables."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.regions import region_volumes
from napari_neuropretrain.errors import CohortError

SCANS = [
    Scan("sub-IXI012HH", None, Path("x")),
    Scan("sub-IXI01", "ses-2", Path("x")),
    Scan("sub-none", None, Path("x")),
]


def test_label_maps_are_found_by_name(tmp_path: Path) -> None:
    for name, labels in {
        "IXI012-HH_T1_dlmuse.nii.gz": [0, 0, 4, 4, 4, 47],
        "IXI01-ses-2.nii.gz": [0, 47, 47, 47, 47, 47],
    }.items():
        voxels = np.array(labels, np.uint8).reshape(1, 2, 3)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / name)
    found = region_volumes(tmp_path, SCANS)
    assert found.names == ("4", "47")
    assert found.values[0].tolist() == [0.75, 0.25]  # of the labelled voxels, not all
    assert found.values[1].tolist() == [0, 1]
    assert np.isnan(found.values[2]).all()
    again = region_volumes(tmp_path, SCANS, ("47", "9", "4"))
    assert again.values[0].tolist() == [0.25, 0, 0.75]
    with pytest.raises(CohortError, match="lacks what the model learned from: 8, 9"):
        region_volumes(tmp_path, SCANS, ("8", "9"))


def test_a_table_gives_its_numbers(tmp_path: Path) -> None:
    table = tmp_path / "regions.csv"
    table.write_text("participant_id,hippocampus,ventricles\nIXI012HH,3.5,20\n")
    found = region_volumes(table, SCANS)
    assert found.names == ("hippocampus", "ventricles")
    assert found.values[0].tolist() == [3.5, 20]
    assert np.isnan(found.values[1:]).all()
    again = region_volumes(table, SCANS, ("ventricles",))
    assert again.values[0].tolist() == [20]
    with pytest.raises(CohortError, match="lacks what the model learned from: 47"):
        region_volumes(table, SCANS, ("ventricles", "47"))
    table.write_text("participant_id,hippocampus\nIXI012HH,large\n")
    with pytest.raises(CohortError, match="something else than numbers for sub-IXI012"):
        region_volumes(table, SCANS)


def test_nothing_for_anyone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="nothing for any of the 3 scans"):
        region_volumes(tmp_path, SCANS)
