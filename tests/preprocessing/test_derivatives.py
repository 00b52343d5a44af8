"""What is written can be read, here and by ITK."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan, read_cohort
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.preprocessing.derivatives import (
    derivative_path,
    read_derivative,
    sidecar,
    write_derivative,
    write_transform,
)
from napari_neuropretrain.preprocessing.pipeline import Preprocessed

CONTRACT = PreprocessingContract(shape=(16, 16, 16), spacing_mm=8.0)
SCAN = Scan("sub-01", "ses-02", Path("raw/t1.nii.gz"))
SOURCE = {"Path": "raw/t1.nii.gz", "Bytes": 1, "ModifiedNs": 2, "SHA256": "ab"}


def scan_to_template() -> np.ndarray:
    transform = np.eye(4)
    turn = Rotation.from_euler("xyz", (10, -5, 20), degrees=True).as_matrix()
    transform[:3, :3] = np.diag([0.9, 1.1, 1.05]) @ turn
    transform[:3, 3] = 7, -3, 12
    return transform


@pytest.fixture
def volume() -> Volume:
    """Stored as P-S-R, so that the file's order is not RAS."""
    voxels = np.arange(5 * 6 * 7, dtype=np.float32).reshape(5, 6, 7)
    affine = np.array([[0, 0, 2.0, -9], [-2, 0, 0, 8], [0, 2, 0, -7], [0, 0, 0, 1]])
    return Volume.from_native(voxels, affine, SCAN.path)


@pytest.fixture
def done(volume: Volume) -> Preprocessed:
    rng = np.random.default_rng(0)
    mask = rng.random(CONTRACT.shape) > 0.5
    image = np.where(mask, rng.normal(size=mask.shape), 0).astype(np.float32)
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    details = {"mask_ml": 1500.0, "dice": 0.95, "correlation": 0.6, "seconds": {}}
    scan_mask = volume.data > 100
    return Preprocessed(image, affine, mask, scan_mask, scan_to_template(), details)


def test_what_is_written_is_read_back(
    tmp_path: Path, volume: Volume, done: Preprocessed
) -> None:
    path = write_derivative(tmp_path, SCAN, volume, done, CONTRACT, SOURCE)

    again = read_derivative(path)

    assert path == derivative_path(tmp_path, SCAN)
    np.testing.assert_array_equal(again.image, done.image)
    np.testing.assert_array_equal(again.brain_mask, done.brain_mask)
    np.testing.assert_array_equal(again.transform, done.transform)
    np.testing.assert_array_equal(again.affine, done.affine)
    assert again.contract == CONTRACT
    assert again.json["Source"] == SOURCE
    assert again.json["Versions"]["numpy"] == np.__version__
    assert again.json["Contract"]["registration"]["levels_mm"] == [8, 4, 2]


def test_the_files_have_bids_names(
    tmp_path: Path, volume: Volume, done: Preprocessed
) -> None:
    write_derivative(tmp_path, SCAN, volume, done, CONTRACT, SOURCE)
    stem = "sub-01_ses-02"
    names = {file.name for file in (tmp_path / "sub-01/ses-02/anat").iterdir()}
    assert names == {
        f"{stem}_space-MNI152_desc-preproc_T1w.nii.gz",
        f"{stem}_space-MNI152_desc-preproc_T1w.json",
        f"{stem}_space-MNI152_desc-brain_mask.nii.gz",
        f"{stem}_space-MNI152_desc-brain_mask.json",
        f"{stem}_desc-brain_mask.nii.gz",
        f"{stem}_desc-brain_mask.json",
        f"{stem}_from-T1w_to-MNI152_mode-image_xfm.txt",
        f"{stem}_from-T1w_to-MNI152_mode-image_xfm.json",
    }
    assert read_cohort(tmp_path).kind == "preprocessed"


def test_the_mask_in_scan_space_lies_on_the_files_own_grid(
    tmp_path: Path, volume: Volume, done: Preprocessed
) -> None:
    path = write_derivative(tmp_path, SCAN, volume, done, CONTRACT, SOURCE)
    mask = nib.load(path.with_name("sub-01_ses-02_desc-brain_mask.nii.gz"))
    assert mask.shape == (5, 6, 7)
    np.testing.assert_allclose(mask.affine, volume.native_affine)
    native = np.arange(5 * 6 * 7).reshape(5, 6, 7)
    np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, native > 100)


def test_itk_reads_the_transform_and_maps_template_points_to_the_scan(
    tmp_path: Path,
) -> None:
    import SimpleITK

    transform = scan_to_template()
    write_transform(tmp_path / "xfm.txt", transform)
    itk = SimpleITK.ReadTransform(str(tmp_path / "xfm.txt"))

    scan_ras = np.array([12.0, -30.0, 41.0])
    template_ras = transform[:3, :3] @ scan_ras + transform[:3, 3]
    to_lps = np.array([-1, -1, 1])
    found = np.array(itk.TransformPoint((template_ras * to_lps).tolist())) * to_lps
    np.testing.assert_allclose(found, scan_ras, atol=1e-9)


def test_without_its_json_a_scan_is_not_done(
    tmp_path: Path, volume: Volume, done: Preprocessed
) -> None:
    path = write_derivative(tmp_path, SCAN, volume, done, CONTRACT, SOURCE)
    sidecar(path).unlink()
    with pytest.raises(ImageError, match="no readable JSON"):
        read_derivative(path)


@pytest.mark.parametrize("key", ["Transform", "Contract"])
def test_a_sidecar_of_another_program_is_refused(
    tmp_path: Path, volume: Volume, done: Preprocessed, key: str
) -> None:
    path = write_derivative(tmp_path, SCAN, volume, done, CONTRACT, SOURCE)
    notes = json.loads(sidecar(path).read_text())
    del notes[key]
    sidecar(path).write_text(json.dumps(notes))
    with pytest.raises(ImageError, match="Preprocess the scan again"):
        read_derivative(path)
