"""DICOM folders: one series, several, and broken ones."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.data.dicom import is_dicom_folder, list_series
from napari_neuropretrain.data.orientation import obliqueness_degrees
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import ImageError

sitk = pytest.importorskip("SimpleITK")


def voxels(slices=6) -> np.ndarray:
    """(K, J, I) integers, each unique."""
    return np.arange(slices * 8 * 7).reshape(slices, 8, 7).astype(np.int16)


def write_series(
    folder: Path, description="T1 MPRAGE", number=1, slices=6, modality="MR"
) -> Path:
    """Write axial slices of 1 x 1 x 2 mm, from z = -5 mm upwards, in LPS."""
    folder.mkdir(exist_ok=True)
    for index, plane in enumerate(voxels(slices)):
        image = sitk.GetImageFromArray(plane[np.newaxis])
        image.SetOrigin((3.0, 4.0, -5.0 + 2 * index))
        image.SetSpacing((1.0, 1.0, 2.0))
        tags = {
            "0008|0060": modality,
            "0008|103e": description,
            "0020|000d": "1.2.3",
            "0020|000e": f"1.2.3.{number}",
            "0020|0013": str(index),
            "0020|0032": f"3\\4\\{-5 + 2 * index}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{number}_{index:03d}.dcm"))
        writer.Execute(image)
    return folder


def test_slices_become_a_volume_in_ras(tmp_path):
    volume = read_volume(write_series(tmp_path / "scan"))

    assert volume.native_shape == (7, 8, 6)
    assert volume.spacing_mm == (1.0, 1.0, 2.0)
    # LPS becomes RAS: the first two axes are flipped.
    np.testing.assert_array_equal(
        volume.data, voxels().transpose(2, 1, 0)[::-1, ::-1].astype(np.float32)
    )
    np.testing.assert_allclose(volume.affine[:3, 3], (-3 - 6, -4 - 7, -5))
    np.testing.assert_array_equal(
        volume.to_native(volume.data), voxels().transpose(2, 1, 0)
    )


def test_the_only_t1_among_several_series_is_taken(tmp_path):
    folder = write_series(tmp_path / "scan", "t2_flair", number=1)
    write_series(folder, "localizer", number=2, slices=3)
    write_series(folder, "sag MPRAGE", number=3, slices=5)
    assert len(list_series(folder)) == 3
    assert read_volume(folder).native_shape == (7, 8, 5)


def two_t1(folder):
    write_series(folder, "T1 first", number=1)
    return write_series(folder, "T1 second", number=2)


def not_mr(folder):
    return write_series(folder, "HEAD", modality="CT")


def missing_slice(folder):
    write_series(folder)
    (folder / "1_002.dcm").unlink()
    return folder


def same_place_twice(folder):
    write_series(folder)
    copy = sitk.ReadImage(str(folder / "1_002.dcm"))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(folder / "again.dcm"))
    writer.Execute(copy)
    return folder


def cut_slice(folder):
    write_series(folder)
    raw = (folder / "1_003.dcm").read_bytes()
    (folder / "1_003.dcm").write_bytes(raw[: len(raw) - 60])
    return folder


def cut_last_slice(folder):
    write_series(folder)
    raw = (folder / "1_005.dcm").read_bytes()
    (folder / "1_005.dcm").write_bytes(raw[: len(raw) - 60])
    return folder


def empty_slice(folder):
    write_series(folder)
    (folder / "1_006.dcm").touch()
    return folder


def few_slices(folder):
    return write_series(folder, slices=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (two_t1, r"2 DICOM series.*'T1 first' \(MR, 6 files\), 'T1 second'"),
        (not_mr, r"'HEAD' \(CT, 6 files\)"),
        (missing_slice, r"the gap is 2\.00 mm, but up to 4\.00 mm \(1 missing\)"),
        (same_place_twice, "lie at the same place"),
        (cut_slice, "cannot be read as slices: '1_003.dcm'"),
        (cut_last_slice, "cannot be read as slices: '1_005.dcm'"),
        (empty_slice, "cannot be read as slices: '1_006.dcm'"),
        (few_slices, "is not a 3D volume"),
    ],
)
def test_unusable_folder_gets_a_sentence(tmp_path, make, message):
    folder = make(tmp_path / "scan")
    with pytest.raises(ImageError, match=message) as caught:
        read_volume(folder)
    assert str(folder) in str(caught.value)


def test_other_files_beside_the_slices_are_passed_over(tmp_path):
    folder = write_series(tmp_path / "scan")
    (folder / "README.txt").write_text("exported on a Monday")
    assert read_volume(folder).native_shape == (7, 8, 6)


def test_folders_of_slices_are_a_cohort(tmp_path):
    write_series(tmp_path / "P-01")
    write_series(tmp_path / "P-02")
    (tmp_path / "logs").mkdir()
    assert not is_dicom_folder(tmp_path)
    cohort = read_cohort(tmp_path)
    assert [scan.key for scan in cohort.scans] == ["sub-P01", "sub-P02"]
    assert read_cohort(tmp_path / "P-01").scans[0].key == "sub-P01"


def test_real_series(shared_data, tmp_path):
    (archive,) = (shared_data / "dicom_t1").glob("*.tar.xz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")

    volume = read_volume(tmp_path / "dcm_anon")

    assert volume.data.shape == (176, 256, 256)
    np.testing.assert_allclose(volume.spacing_mm, (1, 1, 1), atol=1e-5)
    # Most of the bright voxels of a head lie around the scanner's centre.
    bright = np.argwhere(volume.data > np.percentile(volume.data, 90)).mean(axis=0)
    centre = volume.affine[:3, :3] @ bright + volume.affine[:3, 3]
    assert np.abs(centre).max() < 60
    assert obliqueness_degrees(volume.affine) == pytest.approx(5.8, abs=0.1)
