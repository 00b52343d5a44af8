from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_neuropretrain.gui.scans import layers, view
from napari_neuropretrain.gui.scans.overlay import symmetric_limit, two_sided_colormap

LAS = np.diag([-2.0, 1.5, 1.0, 1.0])
LAS[:3, 3] = 30, -40, -20


@pytest.fixture
def spots() -> np.ndarray:
    data = np.zeros((8, 10, 12), np.float32)
    data[1, 2, 3], data[6, 7, 8] = 2.0, -4.0
    return data


def test_world_position_is_ras_mm(spots):
    voxels, keywords, kind = layers.t1_layer(spots, LAS, "T1")
    viewer = ViewerModel()
    (layer,) = view.add_layers(viewer, [(voxels, keywords, kind)])
    place = np.unravel_index(np.argmax(layer.data), layer.data.shape)
    x, y, z = (LAS @ [1, 2, 3, 1])[:3]
    assert layer.data_to_world(place) == pytest.approx((z, y, x))
    assert layer.axis_labels == ("z", "y", "x")
    assert all(str(unit) == "millimeter" for unit in layer.units)
    assert layer.affine.affine_matrix == pytest.approx(np.eye(4))
    assert layer.metadata["affine"] == pytest.approx(LAS)


def test_an_oblique_volume_says_so(spots):
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    tilted = np.eye(4)
    tilted[1:3, 1:3] = [[c, -s], [s, c]]
    _, keywords, _ = layers.t1_layer(spots, tilted, "T1")
    assert keywords["name"] == "T1 (oblique 12°)"
    assert "12.0 degrees" in keywords["metadata"]["notes"][0]


def test_overlay_is_clear_between_the_thresholds():
    colors = two_sided_colormap(0.5).map(np.linspace(0, 1, 101))
    values = np.linspace(-1, 1, 101)
    assert np.all(colors[np.abs(values) < 0.49, 3] == 0)
    assert np.all(colors[np.abs(values) > 0.51, 3] == 1)
    assert colors[0, 2] > 0.9 > 0.1 > colors[0, 0]  # cold
    assert colors[-1, 0] > 0.9 > 0.1 > colors[-1, 2]  # hot


def test_occlusion_layer_has_symmetric_limits_and_hides_nothing_negative(spots):
    viewer = ViewerModel()
    (layer,) = view.add_layers(viewer, [layers.occlusion_layer(spots, LAS, "map")])
    assert layer.contrast_limits == [-4.0, 4.0]
    assert str(layer.blending) == "translucent_no_depth"
    assert str(layer.rendering) == "translucent"
    assert str(layer.interpolation2d) == "nearest"
    assert layer.colorbar.visible
    assert layers.occlusion_layers(viewer) == [layer]
    assert layers.set_threshold(layer, 0.6) == pytest.approx(2.4)
    assert layer.colormap.map(np.array([0.5, 0.79, 0.81]))[:, 3].tolist() == [0, 0, 1]
    # The view goes to the strongest voxel.
    strongest = (LAS @ [6, 7, 8, 1])[:3][::-1]
    assert viewer.dims.point == pytest.approx(tuple(strongest))


def test_view_is_upright_in_every_plane(spots):
    viewer = ViewerModel()
    mask = layers.mask_layer(spots != 0, LAS, "mask")
    view.add_layers(viewer, [layers.t1_layer(spots, LAS, "T1"), mask])
    assert viewer.layers["mask"].contour == 1
    up, right = viewer.scene.camera.orientation2d
    assert (str(up), str(right)) == ("up", "right")
    assert viewer.canvas.overlays["scale_bar"].visible
    note = viewer.canvas.overlays["text"]
    assert note.text == "up: front · right: the person's right"
    view.show_plane(viewer, "Sagittal")
    assert note.text == "up: top · right: front"
    view.show_plane(viewer, "Coronal")
    assert note.text == "up: top · right: the person's right"
    view.show_3d(viewer)
    assert (viewer.dims.ndisplay, note.text) == (3, "")
    assert not viewer.layers["mask"].visible


def test_a_layer_of_the_same_name_is_replaced(spots):
    viewer = ViewerModel()
    for _ in range(2):
        view.add_layers(viewer, [layers.t1_layer(spots, LAS, "T1")])
    assert len(viewer.layers) == 1


def test_limits_of_an_empty_map():
    assert symmetric_limit(np.zeros(3)) == 1.0
    assert layers.display_limits(np.zeros((2, 2, 2))) == (0.0, 1.0)


def test_surroundings_of_a_z_scored_brain_are_dark():
    data = np.zeros((4, 4, 4), np.float32)
    data[1:3, 1:3, 1:3] = np.linspace(-2, 2, 8).reshape(2, 2, 2)
    dark = layers.outside_dark(data, data != 0)
    low, high = layers.brain_limits(data, data != 0)
    assert dark[0, 0, 0] == pytest.approx(low)
    assert -2 < low < -1.5
    assert 2 < high < 3
    assert dark[1, 1, 1] == -2
