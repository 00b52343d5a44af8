"""The real viewer, drawn with OpenGL."""

from __future__ import annotations

import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt

from napari_neuropretrain.data.quality import read_quality
from napari_neuropretrain.gui.jobs.preprocess_widget import PreprocessWidget
from napari_neuropretrain.gui.jobs.preview_layers import PREVIEW_KEY, show_preview
from napari_neuropretrain.gui.review.review_widget import open_reviews
from napari_neuropretrain.gui.scans import layers, view
from napari_neuropretrain.gui.widgets import ExplainWidget

pytestmark = [pytest.mark.gl, pytest.mark.usefixtures("no_gl")]

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def head() -> np.ndarray:
    x, y, z = np.mgrid[:40, :48, :40]
    inside = ((x - 20) / 16) ** 2 + ((y - 24) / 20) ** 2 + ((z - 20) / 16) ** 2 < 1
    return np.where(inside, 100.0 + y, 0.0).astype(np.float32)


@pytest.fixture
def occlusion(head) -> np.ndarray:
    """Hot on the right at the front, cold on the left at the back."""
    occlusion = np.zeros_like(head)
    occlusion[27:31, 31:35, 18:22] = 1.0
    occlusion[9:13, 13:17, 18:22] = -0.9
    return occlusion


def centroid(picture, channel, other):
    """Return (row, column) of the pixels where `channel` is far above `other`."""
    picture = picture.astype(int)
    coloured = picture[..., channel] - picture[..., other] > 100
    coloured[:, -picture.shape[1] // 6 :] = False  # the colour bar
    coloured[: picture.shape[0] // 8] = False
    assert coloured.any()
    rows, columns = np.nonzero(coloured)
    return rows.mean(), columns.mean()


@pytest.mark.parametrize("three_d", [False, True])
def test_both_signs_are_seen_on_the_right_sides(
    make_napari_viewer, head, occlusion, three_d
):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 700)
    stack = [
        layers.t1_layer(head, AFFINE, "T1"),
        layers.occlusion_layer(occlusion, AFFINE, "occlusion"),
    ]
    view.add_layers(viewer, stack)
    if three_d:
        viewer.dims.ndisplay = 3
        viewer.reset_view()
    picture = viewer.screenshot(flash=False)
    hot, cold = centroid(picture, 0, 2), centroid(picture, 2, 0)
    assert hot[0] < cold[0]  # the front is up
    assert hot[1] > cold[1]  # the right is right
    grey = picture[..., :3].std(axis=-1) < 4
    assert (grey & (picture[..., 0] > 40)).mean() > 0.03  # the head is not veiled


def test_threshold_slider_hides_the_weaker_cluster(make_napari_viewer, head, occlusion):
    viewer = make_napari_viewer(show=True)
    widget = ExplainWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Explain")
    view.add_layers(viewer, [layers.occlusion_layer(occlusion, AFFINE, "map")])
    controls = widget.controls
    controls.refresh()
    assert controls.readout.text() == "40 % (±0.4)"
    controls.slider.setValue(95)
    assert controls.readout.text() == "95 % (±0.95)"
    picture = viewer.screenshot(flash=False)
    centroid(picture, 0, 2)
    with pytest.raises(AssertionError):
        centroid(picture, 2, 0)


def test_results_of_a_run_arrive_as_layers(
    make_napari_viewer, qtbot, tmp_path, oblique_scan
):
    viewer = make_napari_viewer(show=True)
    widget = ExplainWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Explain")
    with qtbot.waitSignal(widget.shown, timeout=20_000):
        widget.show_result("occlusion", oblique_scan)
    assert len(viewer.layers) == 1


def test_a_preview_fills_the_cells_of_a_grid(make_napari_viewer, head):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 800)
    names = ("original", "view 1", "view 2")
    volumes = (head, head[::-1], np.zeros_like(head))
    stack = []
    for name, volume in zip(names, volumes, strict=True):
        known = {PREVIEW_KEY: name, layers.NAMED_KEY: True}
        data, keywords, kind = layers.t1_layer(volume, AFFINE, name, **known)
        stack.append((data, keywords | {"contrast_limits": (0, 150)}, kind))
    show_preview(viewer, stack, beside=True)
    picture = viewer.screenshot(flash=False)[..., :3].max(axis=-1)
    half = picture.shape[0] // 2, picture.shape[1] // 2

    def bright(rows, columns):
        return (picture[rows, columns] > 60).mean()

    upper, lower = slice(30, half[0] - 30), slice(half[0] + 30, None)
    left, right = slice(None, half[1]), slice(half[1], None)
    assert bright(upper, left) > 0.3
    assert bright(upper, right) > 0.3
    assert bright(lower, left) < 0.1  # an empty volume, and its name
    show_preview(viewer, stack, beside=False)
    assert not viewer.canvas.grid.enabled
    picture = viewer.screenshot(flash=False)[..., :3].max(axis=-1)
    assert bright(slice(None), slice(None)) > 0.3


def test_review_in_the_viewer(
    make_napari_viewer, npe2pm, qtbot, derivatives, quick_edges
):
    npe2pm.register(PluginManifest.from_distribution("napari-neuropretrain"))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1400, 900)
    widget = PreprocessWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Preprocess")
    widget.form.widgets["output"].line_edit.value = str(derivatives)
    widget.review_button.click()
    (review,) = open_reviews(viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=20_000)
    picture = viewer.screenshot(flash=False).astype(int)
    green = picture[..., 1] - picture[..., 0] > 100
    assert green.sum() > 100  # the outline of the mask
    view.show_side(viewer, "after")
    picture = viewer.screenshot(flash=False).astype(int)
    assert (picture[..., 1] - picture[..., 0] > 100).sum() == 0
    assert (picture[..., 0] - picture[..., 2] > 100).sum() > 100  # the edges
    review.panel.step(1)
    window = review.window()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
    qtbot.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.AltModifier)
    rejected = review.panel.buttons[""]  # there is something to take back
    qtbot.waitUntil(rejected.isEnabled, timeout=20_000)
    assert read_quality(derivatives)["sub-02"].decision == "reject"
    qtbot.waitUntil(lambda: "sub-02_T1w" in viewer.layers, timeout=20_000)
    # A second press finds the same review, and reads the folder again.
    shown = viewer.layers["template edges"]
    widget.review_button.click()
    assert open_reviews(viewer) == [review]
    qtbot.waitUntil(
        lambda: viewer.layers["template edges"] is not shown, timeout=20_000
    )
