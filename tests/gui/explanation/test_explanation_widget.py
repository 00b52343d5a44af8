from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog

from napari_neuropretrain.gui.explanation.explanation_widget import ExplanationWidget
from napari_neuropretrain.gui.explanation.places import OWN, TEMPLATE, shown_map
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import layers, view

WAIT = {"timeout": 60_000}


@pytest.fixture
def viewer(run) -> ViewerModel:
    viewer = ViewerModel()
    scan = next(run.parent.rglob("*preproc_T1w.nii.gz"))
    view.add_layers(viewer, [*read_layers(scan), *read_layers(run)])
    return viewer


@pytest.fixture
def widget(qtbot, viewer) -> ExplanationWidget:
    widget = ExplanationWidget(viewer)
    qtbot.addWidget(widget)
    widget.resize(380, 900)
    widget.show()
    table = widget.parts.clusters.table
    qtbot.waitUntil(lambda: table.rowCount() == 2, **WAIT)
    qtbot.waitUntil(lambda: widget.switch.files.randomised is not None, **WAIT)
    return widget


def colors_at(viewer, *values: float) -> list[float]:
    """Return the opacity of values of the map."""
    layer = shown_map(viewer)
    low, high = layer.contrast_limits
    shares = (np.array(values) - low) / (high - low)
    return layer.colormap.map(np.clip(shares, 0, 1))[:, 3].round(2).tolist()


def test_without_a_map_it_says_where_one_comes_from(qtbot):
    widget = ExplanationWidget(ViewerModel())
    qtbot.addWidget(widget)
    assert widget.parts.problem.text() == "Open an occlusion map, or run Explain."
    assert not widget.parts.look.isEnabled()
    assert not widget.parts.export.buttons["nifti"].isEnabled()
    assert widget.parts.clusters.summary.text() == "No map yet."


def test_the_look_of_the_map_is_shown(widget, viewer):
    look = widget.parts.look
    assert look.clip_low.value() == pytest.approx(0.2)
    assert look.clip_high.value() == look.display_high.value() == pytest.approx(0.8)
    assert look.bar.ticks == pytest.approx((-0.8, -0.2, 0.2, 0.8))
    said = widget.parts.crosshair.text()
    assert said == "Crosshair: x 20.0, y 24.0, z 10.0 mm · +0.8 probability"


def test_threshold_ranges_and_opacity_act_on_both_signs(qtbot, widget, viewer):
    look = widget.parts.look
    look.clip_low.setFocus()
    look.clip_low.selectAll()
    qtbot.keyClicks(look.clip_low, "0.35")
    qtbot.keyClick(look.clip_low, Qt.Key.Key_Return)
    assert colors_at(viewer, -0.5, -0.3, 0.3, 0.4, 0.8) == [1, 0, 0, 1, 1]
    look.clip_high.setValue(0.6)
    assert colors_at(viewer, -0.5, 0.4, 0.65, 0.8, -0.8) == [1, 1, 0, 0, 0]
    look.clip_high.setValue(0.8)
    assert colors_at(viewer, 0.8) == [1]
    box = QPoint(8, look.fade.height() // 2)
    qtbot.mouseClick(look.fade, Qt.MouseButton.LeftButton, pos=box)
    assert colors_at(viewer, -0.4, 0.4, 0.8) == [0.5, 0.5, 1]
    look.display_high.setValue(0.4)
    assert shown_map(viewer).contrast_limits == pytest.approx([-0.4, 0.4])
    assert colors_at(viewer, 0.4, 0.8) == [1, 1]
    widget.refresh()  # as it does by itself once events are over
    look.slider.setValue(500)  # a quarter: steps are finer where values are small
    assert look.clip_low.value() == pytest.approx(0.2)


def test_colours_begin_where_they_are_told_to(widget, viewer):
    look = widget.parts.look
    assert not look.display_low.isEnabled()
    look.linked.setChecked(False)
    assert layers.look_of(shown_map(viewer)).display_low == pytest.approx(0.2)
    widget.refresh()
    assert look.display_low.isEnabled()
    look.display_low.setValue(0.5)

    def red_and_green(value):
        share = (value / 0.8 + 1) / 2
        return shown_map(viewer).colormap.map(np.array([share]))[0, :2].round(2)

    assert red_and_green(0.3).tolist() == red_and_green(0.49).tolist() == [0.85, 0.1]
    assert red_and_green(0.65)[1] == pytest.approx((0.1 + 0.95) / 2, abs=0.01)


def test_contrast_limits_set_elsewhere_stay_symmetric(qtbot, widget, viewer):
    layer = shown_map(viewer)
    layer.contrast_limits = (-0.1, 0.5)
    qtbot.waitUntil(lambda: layer.contrast_limits == [-0.5, 0.5], **WAIT)
    assert widget.parts.look.display_high.value() == pytest.approx(0.5)


def test_clusters_follow_the_threshold(qtbot, widget, viewer):
    clusters = widget.parts.clusters
    hot, cold = clusters.clusters
    assert (hot.place, cold.place) == ((10, 24, 20), (10, -24, -20))
    found = hot.peak, hot.size_mm3, cold.peak, cold.size_mm3
    assert found == pytest.approx((0.8, 27 * 8, -0.5, 8 * 8))
    said = clusters.summary.text()
    assert said == "2 clusters beyond ±0.2 probability: 1 positive, 1 negative."
    widget.parts.look.clip_low.setValue(0.6)
    qtbot.waitUntil(lambda: clusters.table.rowCount() == 1, **WAIT)
    assert clusters.clusters[0].size_mm3 == pytest.approx(8)
    widget.parts.look.clip_low.setValue(0.2)
    qtbot.waitUntil(lambda: clusters.table.rowCount() == 2, **WAIT)
    clusters.least.setValue(100)
    qtbot.waitUntil(lambda: clusters.table.rowCount() == 1, **WAIT)


def test_a_click_goes_to_the_peak_and_a_header_sorts(qtbot, widget, viewer, tmp_path):
    clusters, table = widget.parts.clusters, widget.parts.clusters.table
    qtbot.mouseClick(
        table.viewport(),
        Qt.MouseButton.LeftButton,
        pos=table.visualItemRect(table.item(1, 1)).center(),
    )
    assert viewer.dims.point == pytest.approx((10, -24, -20))
    assert widget.parts.crosshair.text().endswith("−0.5 probability")
    table.sortItems(4, Qt.SortOrder.AscendingOrder)
    assert [one.size_mm3 for one in clusters.clusters] == pytest.approx([64, 216])
    table.sortItems(0, Qt.SortOrder.DescendingOrder)
    assert [one.peak > 0 for one in clusters.clusters] == [True, False]
    widget.writer.save_table(tmp_path / "clusters.tsv")
    rows = (tmp_path / "clusters.tsv").read_text().splitlines()
    assert rows[0].split("\t") == [
        *("peak", "x_mm", "y_mm", "z_mm", "size_mm3", "sign", "region")
    ]
    wanted = ["-20.0", "-24.0", "10.0", "64.0", "negative", "n/a"]
    assert rows[2].split("\t")[1:] == wanted


def test_regions_are_named_on_their_side(qtbot, widget, viewer, regions):
    qtbot.mouseClick(widget.parts.regions, Qt.MouseButton.LeftButton)
    choices = widget.parts.regions.choices
    choices.actions()[0].trigger()
    choices.close()
    (dialog,) = widget.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(regions))
    dialog.close()
    qtbot.waitUntil(lambda: "atlas" in viewer.layers, **WAIT)
    assert not viewer.layers["atlas"].visible
    table = widget.parts.clusters.table
    qtbot.waitUntil(
        lambda: table.rowCount() == 2 and bool(table.item(0, 5).text()), **WAIT
    )
    named = [one.region for one in widget.parts.clusters.clusters]
    assert named == ["right frontal pole", "left cuneus"]
    assert widget.parts.regions.text() == "Regions: atlas…"
    viewer.cursor.position = (10, -24, -20)
    said = widget.parts.mouse.text()
    assert said.endswith("−0.5 probability · left cuneus")
    # A labels layer of one's own, over the atlas.
    own = np.zeros((41, 49, 41), int)
    own[25, 12, 10] = 7
    viewer.add_labels(own, scale=(2, 2, 2), translate=(-40, -48, -40))
    viewer.layers.selection.active = shown_map(viewer)
    viewer.cursor.position = (10, -24, -19.9)
    assert widget.parts.mouse.text().endswith("region 7")


def test_own_space_and_back(qtbot, widget, viewer):
    parts = widget.parts
    assert parts.space.isEnabled()
    parts.look.clip_low.setValue(0.35)
    parts.space.setCurrentIndex(1)
    parts.space.activated.emit(1)
    name = "sub-01_space-T1w_desc-occlusion_map"
    qtbot.waitUntil(lambda: name in viewer.layers, **WAIT)
    layer = viewer.layers[name]
    qtbot.waitUntil(lambda: parts.map.currentText() == name, **WAIT)
    assert shown_map(viewer) is layer
    shown = {one.name for one in viewer.layers if one.visible}
    assert shown == {name, "sub-01_T1w"}
    assert layers.look_of(layer).threshold == pytest.approx(0.35)
    # The strongest voxel (30, 36, 25) of a grid from the left to the right.
    assert viewer.dims.point == pytest.approx((20, 12, -10))
    qtbot.waitUntil(lambda: widget.switch.files.template is not None, **WAIT)
    widget.switch.show_space(TEMPLATE)
    shown = {one.name for one in viewer.layers if one.visible}
    assert shown == {
        "sub-01_space-MNI152_desc-preproc_T1w",
        "sub-01_space-MNI152_desc-occlusion_map",
    }
    widget.switch.show_space(OWN)
    assert layer.visible
    assert len(viewer.layers) == 4


def test_the_checks_are_told_in_plain_words(qtbot, widget, viewer):
    trust = widget.parts.trust
    assert trust.verdict.text() == "The checks raised no doubts."
    words = trust.words.text()
    assert "correlates by 0.12 with this one" in words
    assert "9 and 12 voxels give maps that correlate by 0.72 and 0.50" in words
    assert "10% of the brain moves the output from 0.91 to 0.3 probability" in words
    assert "as much elsewhere, to 0.88" in words
    assert "not what the disease is" in words
    widget.parts.tabs.setCurrentIndex(1)
    assert trust.plot.isVisible()
    qtbot.mouseClick(trust.random, Qt.MouseButton.LeftButton)
    name = "sub-01_space-MNI152_desc-randomised_map"
    qtbot.waitUntil(lambda: name in viewer.layers, **WAIT)
    qtbot.waitUntil(lambda: trust.random.text() == "Back to the map", **WAIT)
    assert shown_map(viewer).name == name
    assert not viewer.layers["sub-01_space-MNI152_desc-occlusion_map"].visible
    # Drawn as the map is, so that they can be compared.
    assert shown_map(viewer).contrast_limits == pytest.approx([-0.8, 0.8])
    qtbot.mouseClick(trust.random, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "Show" in trust.random.text(), **WAIT)
    assert shown_map(viewer).name == "sub-01_space-MNI152_desc-occlusion_map"
    assert not viewer.layers[name].visible


def test_maps_are_written(qtbot, widget, viewer, tmp_path, run):
    said = widget.parts.export.said

    def written(kind, name):
        widget.writer.export(kind, tmp_path / name)
        qtbot.waitUntil(lambda: said.text() == f"Written: {tmp_path / name}", **WAIT)
        return tmp_path / name

    whole = written("nifti", "whole.nii.gz")
    assert whole.read_bytes() == run.read_bytes()
    widget.parts.look.clip_low.setValue(0.6)
    widget.parts.export.clipped.setChecked(True)
    clipped = nib.load(written("nifti", "clipped.nii.gz"))
    assert clipped.affine == pytest.approx(nib.load(run).affine)
    values = np.asarray(clipped.dataobj)
    assert np.argwhere(values).tolist() == [[30, 36, 25]]
    picture = written("panel", "panel.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    page = written("page", "page.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "Can the map be believed?" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    # The page of the job itself comes first.
    run.with_name("report.html").write_text("the job's own")
    assert written("page", "own.html").read_text() == "the job's own"
    # Unless it is of a run before this one.
    os.utime(run.with_name("report.html"), (1, 1))
    assert "Can the map be believed?" in written("page", "new.html").read_text("utf-8")


def test_what_cannot_be_written_is_said(qtbot, widget, tmp_path):
    (tmp_path / "taken").write_text("")
    widget.writer.export("nifti", tmp_path / "taken" / "map.nii.gz")
    problem = widget.parts.problem
    qtbot.waitUntil(lambda: "cannot be written" in problem.text(), **WAIT)
    assert "map.nii.gz" in problem.text()
    assert widget.parts.export.said.text() == ""
