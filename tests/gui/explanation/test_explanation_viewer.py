"""Every tool of the docks by clicks and keys in the real viewer, drawn with OpenGL."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QFileDialog

from napari_neuropretrain.gui.explanation.explanation_widget import ExplanationWidget
from napari_neuropretrain.gui.explanation.places import shown_map
from napari_neuropretrain.gui.explanation.planes_widget import PlanesWidget
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.widgets import ExplainWidget

pytestmark = [pytest.mark.gl, pytest.mark.usefixtures("no_gl")]

LEFT = Qt.MouseButton.LeftButton
WAIT = {"timeout": 120_000}


@pytest.fixture
def docks(make_napari_viewer, npe2pm, qtbot, run, regions):
    """The viewer with a map over its scan, and both docks, opened by buttons."""
    npe2pm.register(PluginManifest.from_distribution("napari-neuropretrain"))
    (run.parent / "config.yaml").write_text(f"regions: {regions}\n")
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1500, 950)
    explain = ExplainWidget(viewer)
    viewer.window.add_dock_widget(explain, name="Explain")
    scan = next(run.parent.rglob("*preproc_T1w.nii.gz"))
    view.add_layers(viewer, [*read_layers(scan), *read_layers(run)])
    qtbot.mouseClick(explain.planes_button, LEFT)
    qtbot.mouseClick(explain.open_button, LEFT)
    docked = list(viewer.window.dock_widgets.values())
    (panel,) = (one for one in docked if isinstance(one, ExplanationWidget))
    (planes,) = (one for one in docked if isinstance(one, PlanesWidget))
    table = panel.parts.clusters.table
    qtbot.waitUntil(
        lambda: table.rowCount() == 2 and bool(table.item(0, 5).text()), **WAIT
    )
    return viewer, panel, planes


def hot_place(viewer) -> tuple[float, float] | None:
    """Return where the canvas is hot, as shares of its height and width."""
    layer = shown_map(viewer)
    layer.colorbar.visible = False
    picture = viewer.screenshot(flash=False).astype(int)
    hot = picture[..., 0] - picture[..., 2] > 150
    if hot.sum() < 5:
        return None
    rows, columns = np.nonzero(hot)
    return rows.mean() / hot.shape[0], columns.mean() / hot.shape[1]


def test_the_tools_by_clicks_and_keys(qtbot, docks):
    viewer, panel, planes = docks
    look, table = panel.parts.look, panel.parts.clusters.table
    # A row of the table: the canvas goes there, and the planes.
    cell = table.visualItemRect(table.item(1, 0)).center()
    qtbot.mouseClick(table.viewport(), LEFT, pos=cell)
    assert viewer.dims.point == pytest.approx((10, -24, -20))
    qtbot.keyClick(table, Qt.Key.Key_Up)
    assert viewer.dims.point == pytest.approx((10, 24, 20))
    assert panel.parts.crosshair.text().endswith("right frontal pole")
    place = hot_place(viewer)
    assert place[0] < 0.5 < place[1]  # the front is up, the right is right
    # A threshold above all, typed.
    look.clip_low.setFocus()
    look.clip_low.selectAll()
    qtbot.keyClicks(look.clip_low, "0.9")
    qtbot.keyClick(look.clip_low, Qt.Key.Key_Return)
    assert hot_place(viewer) is None  # the largest is 0.8
    look.clip_low.setValue(0.2)
    look.clip_high.setFocus()
    look.clip_high.selectAll()
    qtbot.keyClicks(look.clip_high, "0.3")
    qtbot.keyClick(look.clip_high, Qt.Key.Key_Return)
    assert hot_place(viewer) is None  # all of the cluster is clipped
    look.clip_high.setValue(0.8)
    assert hot_place(viewer) is not None
    # The radiological switch turns the canvas.
    planes.sides.setFocus()
    qtbot.keyClick(planes.sides, Qt.Key.Key_Down)
    assert view.is_radiological(viewer)
    place = hot_place(viewer)
    assert place[0] < 0.5
    assert place[1] < 0.5
    qtbot.keyClick(planes.sides, Qt.Key.Key_Up)
    assert hot_place(viewer)[1] > 0.5


def choose(qtbot, panel, button, path):
    """Press a button that asks for a file, and give the dialog one."""
    qtbot.mouseClick(button, LEFT)
    (dialog,) = panel.findChildren(QFileDialog)
    dialog.selectFile(str(path))
    dialog.accept()
    qtbot.waitUntil(lambda: not panel.findChildren(QFileDialog), **WAIT)


def export(qtbot, panel, kind, path):
    """Press an export button and wait for the file."""
    choose(qtbot, panel, panel.parts.export.buttons[kind], path)
    said = panel.parts.export.said
    qtbot.waitUntil(lambda: said.text() == f"Written: {path}", **WAIT)


def test_exports_by_their_buttons(qtbot, docks, run, tmp_path):
    _, panel, _ = docks
    panel.parts.tabs.setCurrentIndex(3)
    export(qtbot, panel, "nifti", tmp_path / "whole.nii.gz")
    made, source = nib.load(tmp_path / "whole.nii.gz"), nib.load(run)
    assert np.array_equal(made.get_fdata(), source.get_fdata())
    assert np.array_equal(made.affine, source.affine)
    panel.parts.look.clip_low.setValue(0.45)
    qtbot.mouseClick(panel.parts.export.clipped, LEFT)
    assert panel.parts.export.clipped.isChecked()
    export(qtbot, panel, "nifti", tmp_path / "clipped.nii.gz")
    clipped = nib.load(tmp_path / "clipped.nii.gz").get_fdata()
    assert sorted(clipped[clipped != 0]) == pytest.approx([-0.5, 0.8])
    export(qtbot, panel, "panel", tmp_path / "slices.png")
    picture = QImage(str(tmp_path / "slices.png"))
    assert picture.width() > picture.height() > 100  # one row of three planes
    export(qtbot, panel, "page", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "frontal pole" in page
    assert "data:image/png" in page


def test_3d_is_not_mirrored_by_the_switch(qtbot, docks):
    viewer, _, planes = docks
    view.show_3d(viewer)
    before = hot_place(viewer)
    planes.sides.setCurrentIndex(1)
    assert hot_place(viewer) == pytest.approx(before, abs=0.02)


def test_planes_and_canvas_move_together(qtbot, docks):
    viewer, panel, planes = docks
    window = planes.window()
    planes.refresh()
    coronal = planes.panes[1]
    wanted = (-10.0, 24.0, 8.0)
    qtbot.mouseClick(coronal, LEFT, pos=coronal.pixel_of(wanted).toPoint())
    assert viewer.dims.point == pytest.approx(wanted, abs=1.5)
    viewer.dims.set_point(0, 10.0)
    qtbot.waitUntil(lambda: not planes._rest.isActive(), **WAIT)
    assert planes.panes[0]._point[0] == 10.0
    assert panel.parts.crosshair.text().startswith("Crosshair: x")
    assert window is not None


def test_cine_and_checks_in_the_viewer(qtbot, docks, tmp_path, make_run):
    viewer, panel, _ = docks
    make_run(tmp_path / "more/b", "second", -1.0)
    panel.switch.open_folder(tmp_path / "more")
    cine = panel.parts.cine
    qtbot.waitUntil(lambda: cine.list.count() == 2, **WAIT)
    panel.parts.tabs.setCurrentIndex(2)
    assert hot_place(viewer)[0] < 0.5
    qtbot.mouseClick(cine.forward, LEFT)
    viewer.dims.point = (10, -24, -20)
    place = hot_place(viewer)  # what was cold is hot now: back and left
    assert place[1] < 0.5 < place[0]
    qtbot.mouseClick(cine.play, LEFT)
    assert cine.playing
    qtbot.mouseClick(cine.play, LEFT)
    panel.parts.tabs.setCurrentIndex(1)
    qtbot.waitUntil(lambda: panel.switch.files.randomised is not None, **WAIT)
    qtbot.waitUntil(lambda: panel.parts.trust.random.isEnabled(), **WAIT)
    qtbot.mouseClick(panel.parts.trust.random, LEFT)
    qtbot.waitUntil(lambda: panel.switch.random_shown, **WAIT)
    assert sum(one.visible for one in cine.maps) == 1
    qtbot.mouseClick(panel.parts.trust.random, LEFT)
    assert not panel.switch.random_shown


def test_the_panel_fits_a_narrow_dock(qtbot, docks):
    _, panel, planes = docks
    assert panel.minimumSizeHint().width() <= 380
    assert planes.minimumSizeHint().width() <= 380
