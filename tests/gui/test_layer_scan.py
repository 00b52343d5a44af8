from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import layers, view
from napari_neuropretrain.gui.scans.layer_scan import (
    current_layer,
    file_of,
    suggest_output,
    voxels_of,
    write_scan,
)

HEAD = np.arange(6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8)


def make(data=HEAD, **keywords) -> Image:
    return Image(data, **keywords)


def test_a_layer_of_a_file_is_that_file(oblique_scan):
    layer = Layer.create(*read_layers(oblique_scan)[0])
    assert file_of(layer) == oblique_scan
    cropped = Layer.create(layer.data[2:], {"metadata": layer.metadata}, "image")
    assert file_of(cropped) is None
    assert file_of(make()) is None
    gone = make(metadata={"path": str(oblique_scan.with_name("gone.nii.gz"))})
    assert file_of(gone) is None


def test_an_oblique_layer_is_written_with_its_own_affine(tmp_path, oblique_affine):
    layer = Layer.create(*layers.t1_layer(HEAD, oblique_affine, "Synthetic head!"))
    path = write_scan(*voxels_of(layer), layer.name, tmp_path)
    assert path == tmp_path / "input" / "Synthetic-head_T1w.nii.gz"
    volume = read_volume(path)
    for index in ((0, 0, 0), (5, 2, 7), (1, 6, 3)):
        world = oblique_affine @ [*index, 1]
        found = np.round(np.linalg.inv(volume.affine) @ world)[:3].astype(int)
        assert volume.data[tuple(found)] == HEAD[index]
        assert (volume.affine @ [*found, 1])[:3] == pytest.approx(world[:3], abs=1e-3)


@pytest.fixture
def oblique_affine() -> np.ndarray:
    """Left, then inferior, then posterior; 12 degrees off."""
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    affine = np.eye(4)
    affine[:3, 0] = -2.0, 0, 0
    affine[:3, 1] = 0, 1.5 * s, -1.5 * c
    affine[:3, 2] = 0, -1.0 * c, -1.0 * s
    affine[:3, 3] = 12, 30, -8
    return affine


def test_a_layer_that_was_moved_is_where_it_was_moved_to(oblique_affine):
    layer = Layer.create(*layers.t1_layer(HEAD, oblique_affine, "head"))
    layer.translate = (1, 2, 3)
    _, affine = voxels_of(layer)
    assert affine[:3, 3] == pytest.approx((3, 2, 1))
    assert np.diag(affine)[:3] == pytest.approx(layer.scale[::-1])


def test_scale_and_unit_of_any_image_layer():
    layer = make(scale=(3, 2, 1), translate=(-7, -8, -9))
    data, affine = voxels_of(layer)
    assert data.shape == (8, 7, 6)
    assert data[1, 2, 3] == HEAD[3, 2, 1]
    assert affine @ [1, 2, 3, 1] == pytest.approx((-8, -4, 2, 1))
    small = make(scale=(3000, 2000, 1000), units=("um", "um", "um"))
    assert np.diag(voxels_of(small)[1]) == pytest.approx((1, 2, 3, 1))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (make(HEAD[0], name="a"), "'a' has 2 axes \\(7x8\\)"),
        (make(HEAD[None], name="a"), "has 4 axes"),
        (make(np.zeros((8, 9, 3), np.uint8), rgb=True), "colour picture"),
        (make(HEAD[:1]), "single slice"),
        (make([HEAD, HEAD[::2, ::2, ::2]], multiscale=True), "pyramid"),
        (
            make(metadata={"path": "s_space-MNI152_desc-preproc_T1w.nii.gz"}),
            "preprocessed already",
        ),
    ],
)
def test_what_is_no_scan_is_refused_in_words(layer, reason):
    viewer = ViewerModel()
    viewer.add_layer(layer)
    with pytest.raises(ImageError, match=reason) as refused:
        current_layer(viewer)
    assert "Select the image layer of a raw" in str(refused.value)


def test_the_selected_layer_or_the_only_image_is_current():
    viewer = ViewerModel()
    with pytest.raises(ImageError, match="no image layer"):
        current_layer(viewer)
    first = viewer.add_image(HEAD)
    viewer.add_labels((HEAD > 9).astype(int))
    assert current_layer(viewer) is first
    viewer.add_image(HEAD)
    viewer.layers.selection.active = first
    assert current_layer(viewer) is first
    viewer.layers.selection.clear()
    with pytest.raises(ImageError, match="Which layer"):
        current_layer(viewer)


def test_before_preprocessing_the_scan_is_current(oblique_scan):
    viewer = ViewerModel()
    pair = layers.SIDE_KEY
    scan = read_layers(oblique_scan)[0]
    scan[1]["metadata"][pair] = layers.BEFORE
    view.add_layers(viewer, [scan])
    assert file_of(current_layer(viewer)) == oblique_scan


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError, match="cannot be written to"):
        write_scan(HEAD, np.eye(4), "head", tmp_path / "file")


def test_output_is_suggested_beside_the_scan(tmp_path):
    anat = tmp_path / "bids" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    wanted = tmp_path / "bids" / "derivatives" / "neuropretrain"
    assert suggest_output(anat / "sub-01_T1w.nii.gz") == wanted
    assert suggest_output(tmp_path / "bids") == wanted
    assert suggest_output(tmp_path / "a.nii.gz") == tmp_path / "neuropretrain"
    missing = Path("nowhere/a.nii.gz")
    assert suggest_output(missing) == Path("nowhere/neuropretrain")
