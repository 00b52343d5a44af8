"""Volumes of every format, and sentences for every damaged one."""

from __future__ import annotations

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest

from napari_neuropretrain.data.orientation import obliqueness_degrees
from napari_neuropretrain.data.volumes import Volume, read_volume, write_image
from napari_neuropretrain.errors import ImageError

LAS = np.diag([-1.0, 2.0, 3.0, 1.0])


def ramp(shape=(6, 7, 8), dtype=np.int16) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(path, voxels=None, affine=LAS):
    voxels = ramp() if voxels is None else voxels
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def patched(path, offset: int, layout: str, *values):
    """Overwrite bytes of a saved NIfTI-1 header."""
    raw = bytearray(save(path.with_name("whole.nii")).read_bytes())
    struct.pack_into(layout, raw, offset, *values)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


# --- what can be read -------------------------------------------------------


@pytest.mark.parametrize("name", ["t1.nii", "t1.nii.gz", "t1.mgh", "t1.mgz", "T1.NII"])
def test_formats_give_the_same_volume(tmp_path, name):
    image = (nib.MGHImage if "mg" in name else nib.Nifti1Image)(ramp(), LAS)
    nib.save(image, tmp_path / name)

    volume = read_volume(tmp_path / name)

    assert volume.data.dtype == np.float32
    assert volume.spacing_mm == (1.0, 2.0, 3.0)
    np.testing.assert_array_equal(volume.data, ramp()[::-1])
    np.testing.assert_allclose(volume.affine[:3, 3], (-5, 0, 0))
    np.testing.assert_allclose(volume.native_affine, LAS)
    assert volume.native_shape == (6, 7, 8)
    assert volume.notes == ()


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.int32, np.uint16, np.float32, np.float64, ">i2"]
)
def test_voxel_types_become_float32(tmp_path, dtype):
    voxels = ramp((5, 6, 7)).astype(dtype)
    volume = read_volume(save(tmp_path / "t1.nii.gz", voxels, np.eye(4)))
    np.testing.assert_array_equal(volume.data, ramp((5, 6, 7)))


def test_scale_factors_are_applied(tmp_path):
    image = nib.Nifti1Image(ramp(dtype=np.uint8), np.eye(4))
    image.header.set_slope_inter(2.5, -3)
    nib.save(image, tmp_path / "t1.nii.gz")
    expected = nib.load(tmp_path / "t1.nii.gz").get_fdata()
    np.testing.assert_allclose(read_volume(tmp_path / "t1.nii.gz").data, expected)


def test_one_volume_in_a_4d_file_is_enough(tmp_path):
    path = save(tmp_path / "t1.nii.gz", ramp()[..., np.newaxis])
    volume = read_volume(path)
    assert volume.data.shape == volume.native_shape == (6, 7, 8)


def test_masks_go_back_to_the_order_of_the_file(oblique_image, oblique_voxels):
    volume = read_volume(oblique_image)
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(volume.to_native(volume.data), oblique_voxels)
    native = volume.to_native(volume.data > 100)
    np.testing.assert_array_equal(native, oblique_voxels > 100)


def test_oblique_scan_keeps_its_tilt(oblique_image):
    volume = read_volume(oblique_image)
    assert obliqueness_degrees(volume.affine) == pytest.approx(13.0, abs=0.1)
    assert volume.notes == ()


def test_scan_without_orientation_says_so(tmp_path):
    image = nib.Nifti1Image(ramp(), None)
    image.header.set_zooms((1, 1, 1))
    nib.save(image, tmp_path / "t1.nii")
    (note,) = read_volume(tmp_path / "t1.nii").notes
    assert "left and right may be swapped" in note


def test_wrong_grid_does_not_go_back(oblique_image):
    with pytest.raises(ImageError, match=r"\(4, 4, 4\) does not lie on the grid"):
        read_volume(oblique_image).to_native(np.zeros((4, 4, 4)))


# --- what cannot ------------------------------------------------------------


def missing(folder):
    return folder / "none.nii.gz"


def empty(folder):
    (folder / "empty.nii.gz").touch()
    return folder / "empty.nii.gz"


def empty_folder(folder):
    return folder


def picture(folder):
    (folder / "brain.png").write_bytes(b"\x89PNG")
    return folder / "brain.png"


def text_as_nifti(folder):
    (folder / "notes.nii").write_text("not an image at all" * 40)
    return folder / "notes.nii"


def text_as_gzip(folder):
    (folder / "notes.nii.gz").write_text("not an image at all" * 40)
    return folder / "notes.nii.gz"


def text_as_mgh(folder):
    (folder / "notes.mgh").write_text("not an image at all" * 40)
    return folder / "notes.mgh"


def noise(folder) -> np.ndarray:
    # Random voxels do not compress, so that cutting the file loses some.
    return np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16)


def cut_gzip(folder):
    whole = save(folder / "whole.nii.gz", noise(folder)).read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.nii.gz"


def cut_gzip_header(folder):
    whole = save(folder / "whole.nii.gz", noise(folder)).read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[:40])
    return folder / "cut.nii.gz"


def damaged_gzip(folder):
    whole = bytearray(save(folder / "whole.nii.gz", noise(folder)).read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    (folder / "damaged.nii.gz").write_bytes(whole)
    return folder / "damaged.nii.gz"


def cut_plain(folder):
    whole = save(folder / "whole.nii").read_bytes()
    (folder / "cut.nii").write_bytes(whole[:-100])
    return folder / "cut.nii"


def cut_mgh(folder):
    nib.save(nib.MGHImage(ramp(), LAS), folder / "whole.mgh")
    (folder / "cut.mgh").write_bytes((folder / "whole.mgh").read_bytes()[:400])
    return folder / "cut.mgh"


def claims_a_little_more(folder):
    return patched(folder / "more.nii.gz", 40, "<8h", 3, 60, 70, 80, 1, 1, 1, 1)


def claims_too_much(folder):
    return patched(folder / "huge.nii", 40, "<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1)


def claims_too_much_gzipped(folder):
    return patched(folder / "big.nii.gz", 40, "<8h", 3, 600, 600, 600, 1, 1, 1, 1)


def negative_edge(folder):
    return patched(folder / "odd.nii", 40, "<8h", 3, -6, 7, 8, 1, 1, 1, 1)


def series_4d(folder):
    return save(folder / "bold.nii.gz", ramp((5, 5, 5, 3)))


def flat(folder):
    return save(folder / "slice.nii.gz", ramp((64, 64)))


def one_slice(folder):
    return save(folder / "slice.nii.gz", ramp((64, 64, 1)))


def zero_spacing(folder):
    return patched(folder / "odd.nii", 80, "<f", 0.0)


def negative_spacing(folder):
    return patched(folder / "odd.nii", 84, "<f", -2.0)


def nan_spacing(folder):
    return patched(folder / "odd.nii.gz", 88, "<f", np.nan)


def singular(folder):
    # All three sform rows are the same.
    row = (1.0, 0.0, 0.0, 0.0)
    return patched(folder / "odd.nii", 280, "<12f", *row, *row, *row)


def nan_affine(folder):
    return patched(folder / "odd.nii", 280, "<f", np.nan)


def nan_voxels(folder):
    voxels = ramp(dtype=np.float32)
    voxels[0, 0, :3] = np.nan, np.inf, -np.inf
    return save(folder / "nan.nii.gz", voxels)


def constant(folder):
    return save(folder / "blank.nii.gz", np.full((5, 5, 5), 7, np.uint8))


def too_large_for_float32(folder):
    return save(folder / "vast.nii.gz", ramp(dtype=np.float64) * 1e300)


def complex_voxels(folder):
    return save(folder / "kspace.nii.gz", ramp(dtype=np.complex64))


def colour(folder):
    rgb = np.zeros((5, 5, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    return save(folder / "colour.nii.gz", rgb)


BAD = {
    missing: "There is no file",
    empty: r"is empty \(0 bytes\)",
    empty_folder: "holds no DICOM slices",
    picture: r"not a file type that is read here. Allowed: \.nii",
    text_as_nifti: "not a readable NIfTI file",
    text_as_gzip: "not a readable NIfTI file",
    text_as_mgh: "not a readable MGH file",
    cut_gzip: "ends too early",
    cut_gzip_header: "ends inside its header",
    damaged_gzip: "is damaged",
    cut_plain: "cut short",
    cut_mgh: "cut short",
    claims_a_little_more: "claims 672,352 bytes, but the file holds .* at most",
    claims_too_much: "at most 268,435,456 are read",
    claims_too_much_gzipped: "claims 432,000,352 bytes, but the file holds",
    negative_edge: r"its shape is \(-6, 7, 8\)",
    series_4d: "3 volumes, but one is needed",
    flat: r"\(64, 64\), which is not a 3D volume",
    one_slice: r"\(64, 64, 1\), which is not a 3D volume",
    zero_spacing: "voxel sizes of 0, 2, 3 mm; all must be positive",
    negative_spacing: "voxel sizes of 1, -2, 3 mm; all must be positive",
    nan_spacing: "voxel sizes of 1, 2, nan mm; all must be positive",
    singular: "is singular",
    nan_affine: "holds NaN or infinity",
    nan_voxels: "3 voxels that are NaN or infinite",
    constant: "every voxel is 7",
    too_large_for_float32: "NaN or infinite",
    complex_voxels: "has complex voxels",
    colour: r"has colour \(RGB\) voxels",
}


@pytest.mark.parametrize(
    ("make", "message"), BAD.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_bad_scan_gets_a_sentence_that_names_it(tmp_path, make, message):
    path = make(tmp_path)
    with pytest.raises(ImageError, match=message) as caught:
        read_volume(path)
    assert f"'{path}'" in str(caught.value)


def test_absurd_claim_is_refused_before_memory_is_taken(tmp_path):
    import tracemalloc

    path = claims_too_much_gzipped(tmp_path)
    tracemalloc.start()
    with pytest.raises(ImageError, match="claims 432,000,352 bytes"):
        read_volume(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6


# --- writing ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["mask.nii", "deep/er/mask.nii.gz"])
def test_written_image_reads_back(tmp_path, name):
    volume = Volume.from_native(ramp(), LAS)
    path = write_image(tmp_path / name, volume.data > 100, volume.affine)

    image = nib.load(path)

    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(image.get_fdata(), volume.data > 100)
    np.testing.assert_allclose(image.affine, volume.affine)
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_doubles_are_written_as_floats(tmp_path):
    path = write_image(tmp_path / "a.nii.gz", ramp(dtype=np.float64), np.eye(4))
    assert nib.load(path).get_data_dtype() == np.float32


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_image(tmp_path / "a.nii.gz", ramp(), np.eye(4))
    before = path.read_bytes()

    def fail(image, name):
        name.write_text("half of it")
        raise OSError("disk full")

    monkeypatch.setattr(nib, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(path, ramp() + 1, np.eye(4))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii.gz"]


def test_other_suffixes_are_not_written(tmp_path):
    with pytest.raises(ImageError, match=r"must end with \.nii or \.nii\.gz"):
        write_image(tmp_path / "a.mgz", ramp(), np.eye(4))


# --- real scans -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "spacing"),
    [
        ("whole_head_t1/chris_t1.nii.gz", (188, 256, 190), (0.88, 0.88, 0.88)),
        ("atlas/niivue_norm.mgz", (256, 256, 256), (1, 1, 1)),
        ("ixi_hh_2mm/t1/IXI012-HH-1211_T1.nii.gz", (90, 120, 120), (2, 2, 2)),
    ],
)
def test_real_scans(shared_data, name, shape, spacing):
    volume = read_volume(shared_data / name)
    assert volume.data.shape == shape
    np.testing.assert_allclose(volume.spacing_mm, spacing, rtol=1e-5)
    expected = nib.as_closest_canonical(nib.load(shared_data / name))
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-4)
    reference = expected.get_fdata(dtype=np.float32)
    np.testing.assert_allclose(volume.data, reference, rtol=1e-5)
