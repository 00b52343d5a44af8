"""Layers are saved as they were read: voxels, place, header; in every orientation."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.writer import write_image, write_labels

ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def affine_of(order, signs, tilt=7.0):
    """An affine of this orientation with spacing 1, 1.5 and 2 mm, tilted."""
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    axes = np.zeros((3, 3))
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        axes[row, column] = sign
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ axes
    affine[:3, :3] *= [1.0, 1.5, 2.0]
    affine[:3, 3] = -11, 17, 23
    return affine


def write_nifti(path, affine, dtype=np.int16, slope=1.0, inter=0.0):
    """A scan with everything in its header that a scanner writes."""
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        raw = rng.normal(size=(7, 8, 9)).astype(dtype)
    else:
        raw = rng.integers(0, 200, (7, 8, 9)).astype(dtype)
    order = ">" if str(np.dtype(dtype)).startswith(">") else "<"
    image = nib.Nifti1Image(raw, affine, nib.Nifti1Header(endianness=order))
    image.header.set_data_dtype(dtype)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=2)
    header = image.header
    header["descrip"], header["aux_file"] = b"TE=3.1 made by hand", b"aux"
    header["pixdim"][4] = 2.5
    header["cal_max"], header["intent_name"] = 77.0, b"T1"
    header.set_xyzt_units("mm", "sec")
    header.set_slope_inter(slope, inter)
    nib.save(image, path)
    return path


def save(layer, path):
    """Save a layer as napari's writers are called."""
    data, attributes, kind = layer.as_layer_data_tuple()
    write = {"image": write_image, "labels": write_labels}[kind]
    assert write(str(path), data, attributes) == [str(path)]
    return nib.load(path)


def open_layer(path):
    (data,) = read_layers(path)
    return Layer.create(*data)


def raw_of(image):
    return np.asarray(image.dataobj.get_unscaled())


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_nifti_in_every_orientation(tmp_path, order, signs):
    before = nib.load(write_nifti(tmp_path / "a.nii", affine_of(order, signs)))
    layer = open_layer(tmp_path / "a.nii")
    after = save(layer, tmp_path / "b.nii.gz")
    assert after.get_data_dtype() == np.int16
    assert raw_of(after).tobytes() == raw_of(before).tobytes()
    np.testing.assert_array_equal(after.affine, before.affine)
    for name in before.header:
        if name not in ("scl_slope", "scl_inter", "vox_offset", "magic"):
            np.testing.assert_array_equal(after.header[name], before.header[name], name)
    assert int(after.header["qform_code"]) == 2
    assert after.header.get_zooms() == before.header.get_zooms()


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_mgz_and_changed_voxels_in_every_orientation(tmp_path, order, signs):
    affine = affine_of(order, signs)
    raw = np.random.default_rng(1).integers(0, 255, (7, 8, 9)).astype(np.uint8)
    nib.save(nib.MGHImage(raw, affine), tmp_path / "a.mgz")
    before = nib.load(tmp_path / "a.mgz")
    layer = open_layer(tmp_path / "a.mgz")
    after = save(layer, tmp_path / "b.mgz")
    assert raw_of(after).tobytes() == raw_of(before).tobytes()
    np.testing.assert_array_equal(after.affine, before.affine)
    # One voxel is painted: the one whose place in the world is the same in the file.
    layer.data = layer.data.copy()
    layer.data[2, 3, 4] = 77
    after = save(layer, tmp_path / "c.nii.gz")
    different = np.argwhere(raw_of(after) != raw)
    assert len(different) == (np.count_nonzero(layer.data == 77) != (raw == 77).sum())
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    assert after.get_data_dtype() == np.uint8


@pytest.mark.parametrize(
    ("dtype", "slope", "inter"),
    [
        (np.uint8, 1.0, 0.0),
        (np.int16, 0.37, -12.0),
        (np.uint16, 2.0, 0.0),
        (np.int32, 1.0, 0.0),
        (np.float32, 1.0, 0.0),
        (np.float64, 1.0, 0.0),
        (">i2", 1.0, 5.0),
    ],
)
def test_types_and_scaling_are_kept(tmp_path, dtype, slope, inter):
    affine = affine_of((1, 2, 0), (1, -1, 1))
    path = write_nifti(tmp_path / "a.nii.gz", affine, dtype, slope, inter)
    before, layer = nib.load(path), open_layer(path)
    after = save(layer, tmp_path / "b.nii")
    assert raw_of(after).tobytes() == raw_of(before).tobytes()
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    # Edited, and without the file: still in its type and scaling where that holds it.
    layer.data = layer.data.copy()
    layer.data[0, 0, 0] = np.float32(slope * 3 + inter)
    values = np.asarray(before.dataobj)
    path.unlink()
    edited = save(layer, tmp_path / "c.nii")
    assert edited.get_data_dtype() == np.dtype(dtype)
    apart = np.abs(np.asarray(edited.dataobj) - values)
    corner = np.unravel_index(apart.argmax(), apart.shape)
    assert np.asarray(edited.dataobj)[corner] == pytest.approx(slope * 3 + inter)
    apart[corner] = 0
    assert apart.max() < 1e-6


def test_values_that_do_not_fit_become_float(tmp_path):
    layer = open_layer(write_nifti(tmp_path / "a.nii", affine_of((0, 1, 2), (1, 1, 1))))
    layer.data = layer.data / 3
    after = save(layer, tmp_path / "b.nii")
    assert after.get_data_dtype() == np.float32
    assert after.get_fdata().max() == pytest.approx(199 / 3, rel=1e-3)
    assert bytes(after.header["descrip"]).startswith(b"TE=3.1")


def test_a_cropped_layer_lies_where_it_did(tmp_path):
    """The voxel at a place of the world is the same in the crop and in the file."""
    affine = affine_of((2, 0, 1), (-1, 1, -1), tilt=0)
    before = nib.load(write_nifti(tmp_path / "a.nii", affine))
    layer = open_layer(tmp_path / "a.nii")
    z, y, x = 2, 3, 1
    attributes = layer.as_layer_data_tuple()[1]
    corner = layer.data_to_world((z, y, x))
    cropped = Image(layer.data[z:, y:, x:], **{**attributes, "translate": corner})
    after = save(cropped, tmp_path / "b.nii")
    whole, crop = np.asarray(before.dataobj), np.asarray(after.dataobj)
    for voxel in np.ndindex(crop.shape):
        place = nib.affines.apply_affine(after.affine, voxel)
        there = nib.affines.apply_affine(np.linalg.inv(before.affine), place)
        assert whole[tuple(np.rint(there).astype(int))] == crop[voxel]
    # Cropped at the far ends, the corner stays; the shape alone tells.
    cropped = Image(layer.data[:-z, :-y, :-x], **attributes)
    after = save(cropped, tmp_path / "c.nii")
    crop = np.asarray(after.dataobj)
    for voxel in ((0, 0, 0), tuple(edge - 1 for edge in crop.shape)):
        place = nib.affines.apply_affine(after.affine, voxel)
        there = nib.affines.apply_affine(np.linalg.inv(before.affine), place)
        assert whole[tuple(np.rint(there).astype(int))] == crop[voxel]


def test_labels_painted_on_a_scan_lie_on_it(tmp_path, monkeypatch):
    """New labels know no affine: they take that of the oblique scan below."""
    affine = affine_of((1, 0, 2), (-1, 1, 1))
    before = nib.load(write_nifti(tmp_path / "a.nii.gz", affine))
    viewer = ViewerModel()
    view.add_layers(viewer, read_layers(tmp_path / "a.nii.gz"))
    scan = viewer.layers[0]
    monkeypatch.setattr("napari.current_viewer", lambda: viewer)
    blank = np.zeros(scan.data.shape, np.int64)
    labels = Labels(blank, scale=scan.scale, translate=scan.translate, units=scan.units)
    labels.data[scan.data > 150] = 300
    after = save(labels, tmp_path / "seg.nii.gz")
    np.testing.assert_array_equal(after.affine, before.affine)
    expected = np.where(np.asarray(before.dataobj) > 150, 300, 0)
    np.testing.assert_array_equal(np.asarray(after.dataobj), expected)
    assert after.get_data_dtype() == np.int16
    assert bytes(after.header["descrip"]).startswith(b"TE=3.1")


def test_masks_and_maps_go_back(tmp_path):
    affine = affine_of((2, 1, 0), (1, -1, -1))
    inside = (np.random.default_rng(0).random((7, 8, 9)) > 0.5).astype(np.uint8)
    mask = tmp_path / "sub-01_desc-brain_mask.nii.gz"
    nib.save(nib.Nifti1Image(inside, affine), mask)
    after = save(open_layer(mask), tmp_path / "edited.nii.gz")
    assert raw_of(after).tobytes() == inside.tobytes()
    np.testing.assert_array_equal(after.affine, nib.load(mask).affine)
    values = np.random.default_rng(0).normal(size=(7, 8, 9)).astype(np.float32)
    path = tmp_path / "sub-01_desc-occlusion_map.nii.gz"
    nib.save(nib.Nifti1Image(values, affine), path)
    after = save(open_layer(path), tmp_path / "map.mgz")
    np.testing.assert_array_equal(np.asarray(after.dataobj), values)
    np.testing.assert_allclose(after.affine, affine, atol=1e-5)


def test_the_darkened_surroundings_are_not_saved(derivatives, tmp_path):
    path = derivatives / "sub-01/anat/sub-01_space-MNI152_desc-preproc_T1w.nii.gz"
    layer = open_layer(path)
    before = nib.load(path)
    assert layer.data.min() < 0
    assert np.asarray(before.dataobj)[0, 0, 0] == 0
    after = save(layer, tmp_path / "b.nii.gz")
    assert raw_of(after).tobytes() == raw_of(before).tobytes()


def test_four_axes_of_which_the_last_is_one(tmp_path):
    raw = np.arange(120, dtype=np.int16).reshape(4, 5, 6, 1)
    nib.save(nib.Nifti1Image(raw, affine_of((0, 1, 2), (-1, 1, 1))), tmp_path / "a.nii")
    after = save(open_layer(tmp_path / "a.nii"), tmp_path / "b.nii")
    assert after.shape == (4, 5, 6, 1)
    assert raw_of(after).tobytes() == raw.tobytes()


def test_a_layer_of_no_scan_is_saved_where_it_lies(tmp_path):
    data = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    layer = Image(data, scale=(3, 2, 1), translate=(-5, 6, 7), units=("mm",) * 3)
    after = save(layer, tmp_path / "new.nii.gz")
    expected = np.diag([1.0, 2.0, 3.0, 1.0])
    expected[:3, 3] = 7, 6, -5
    np.testing.assert_allclose(after.affine, expected)
    np.testing.assert_array_equal(np.asarray(after.dataobj), data.T)
    assert after.get_data_dtype() == np.float32
    assert (int(after.header["sform_code"]), int(after.header["qform_code"])) == (1, 1)
    assert after.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Image(np.zeros((4, 4))), "has 2 axes"),
        (Image(np.zeros((4, 4, 4, 3), np.uint8), rgb=True), "colour picture"),
        (Image([np.zeros((8, 8, 8)), np.zeros((4, 4, 4))]), "several resolutions"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path, layer, reason):
    with pytest.raises(ImageError, match=reason):
        save(layer, tmp_path / "a.nii")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageError, match="cannot be written"):
        save(Image(np.zeros((4, 4, 4))), tmp_path / "file" / "a.nii")
    with pytest.raises(ImageError, match="must end with"):
        save(Image(np.zeros((4, 4, 4))), tmp_path / "a.img")
