"""Every tool of the docks by clicks and keys in the real viewer, drawn with OpenGL."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QFileDialog

from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.gui.explanation.explanation_widget import ExplanationWidget
from napari_neuropretrain.gui.explanation.places import shown_map
from napari_neuropretrain.gui.explanation.planes_widget import PlanesWidget
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import view

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
    # As from the menu: it is given a proxy of the viewer.
    _, explain = viewer.window.add_plugin_dock_widget("napari-neuropretrain", "Explain")
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


def canvas_at(viewer, place: tuple[float, ...]) -> np.ndarray:
    """Return red, green and blue of the canvas where a voxel of 2 mm is drawn."""
    viewer.dims.point = place
    viewer.scene.camera.center = (0.0, *place[1:])  # so it is in the middle
    picture = viewer.screenshot(flash=False)[..., :3].astype(int)
    rows, columns = (edge // 2 for edge in picture.shape[:2])
    return picture[rows - 2 : rows + 2, columns - 2 : columns + 2].mean(axis=(0, 1))


def type_number(qtbot, field, number: float) -> None:
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, str(number))
    qtbot.keyClick(field, Qt.Key.Key_Return)


def tick(qtbot, box) -> None:
    qtbot.mouseClick(box, LEFT, pos=QPoint(8, box.height() // 2))


HOT, WARM = (10.0, 24.0, 20.0), (10.0, 26.0, 20.0)  # 0.8 and 0.4
COLD, COOL = (10.0, -24.0, -20.0), (10.0, -26.0, -20.0)  # -0.5 and -0.3


def test_opacity_ranges_and_the_bar_on_the_canvas(qtbot, docks):
    viewer, panel, _ = docks
    look, layer = panel.parts.look, shown_map(viewer)
    layer.colorbar.visible = False
    hot, warm, cold, cool = (canvas_at(viewer, at) for at in (HOT, WARM, COLD, COOL))
    assert hot[0] > 250 > 240 > hot[2]
    assert cold[2] > 200 > cold[0]
    # Opacity by magnitude: -0.3 of 0.8 lets more of the scan through than before.
    tick(qtbot, look.fade)
    assert look.fade.isChecked()
    np.testing.assert_allclose(canvas_at(viewer, HOT), hot, atol=3)
    for place, full, share in ((WARM, warm, 0.5), (COOL, cool, 0.3 / 0.8)):
        under = canvas_under(viewer, place)
        mixed = share * full + (1 - share) * under
        np.testing.assert_allclose(canvas_at(viewer, place), mixed, atol=8)
    tick(qtbot, look.fade)
    np.testing.assert_allclose(canvas_at(viewer, COOL), cool, atol=3)
    # The threshold and the upper end act on both signs.
    type_number(qtbot, look.clip_low, 0.35)
    for place, drawn in ((WARM, True), (COLD, True), (COOL, False)):
        assert is_coloured(canvas_at(viewer, place)) is drawn
    type_number(qtbot, look.clip_high, 0.45)
    for place, drawn in ((HOT, False), (WARM, True), (COLD, False), (COOL, False)):
        assert is_coloured(canvas_at(viewer, place)) is drawn
    type_number(qtbot, look.clip_high, 0.8)
    # A shorter display range: 0.4 has the last colour, and the bar says so.
    type_number(qtbot, look.display_high, 0.4)
    np.testing.assert_allclose(canvas_at(viewer, WARM), hot, atol=3)
    ticks = pytest.approx((-0.4, -0.35, 0.35, 0.4))
    qtbot.waitUntil(lambda: look.bar.ticks == ticks, **WAIT)
    assert layer.contrast_limits == pytest.approx([-0.4, 0.4])
    left, right = bar_ends(look.bar)
    assert left[2] > 200 > left[0]
    assert right[0] > 200 > right[2]


def canvas_under(viewer, place) -> np.ndarray:
    """Return the canvas without the map."""
    layer = shown_map(viewer)
    layer.visible = False
    found = canvas_at(viewer, place)
    layer.visible = True
    viewer.layers.selection.active = layer
    return found


def is_coloured(color: np.ndarray) -> bool:
    return bool(np.ptp(color) > 60)


def bar_ends(bar) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours at both ends of a colour bar, as it is drawn."""
    image = bar.grab().toImage()
    ratio = image.devicePixelRatio()
    ends = (8, bar.width() - 9)
    found = [image.pixelColor(round(x * ratio), round(7 * ratio)) for x in ends]
    first, last = (np.array([c.red(), c.green(), c.blue()]) for c in found)
    return first, last


def test_headers_sort_the_clusters_and_rows_still_lead_there(qtbot, docks):
    viewer, panel, _ = docks
    clusters, table = panel.parts.clusters, panel.parts.clusters.table
    header = table.horizontalHeader()

    def sort_by(column: int) -> list[float]:
        x = header.sectionViewportPosition(column) + header.sectionSize(column) // 2
        at = QPoint(x, header.height() // 2)
        qtbot.mouseClick(header.viewport(), LEFT, pos=at)
        return [one.peak for one in clusters.clusters]

    for column, wanted in ((4, [-0.5, 0.8]), (0, [-0.5, 0.8]), (1, [-0.5, 0.8])):
        found = [sort_by(column), sort_by(column)]
        assert sorted(found) == pytest.approx(np.array([wanted, wanted[::-1]]))
    sort_by(5)  # cuneus, frontal pole: by words
    names = [table.item(row, 5).text() for row in range(2)]
    assert names in (sorted(names), sorted(names)[::-1])
    # Wherever a row is, it leads to its own peak.
    for row in (1, 0):
        cell = table.visualItemRect(table.item(row, 2)).center()
        qtbot.mouseClick(table.viewport(), LEFT, pos=cell)
        assert viewer.dims.point == pytest.approx(clusters.clusters[row].place)
        peak = table.item(row, 0).text()
        qtbot.waitUntil(lambda: peak in panel.parts.crosshair.text(), **WAIT)  # noqa: B023


def test_a_row_leads_to_the_very_voxel_among_other_grids(qtbot, docks):
    """napari's sliders have steps between the voxels of the map here."""
    viewer, panel, _ = docks
    other = np.zeros((50, 60, 50), np.uint8)
    viewer.add_labels(other, scale=(2, 2, 2), translate=(-51, -61, -51), visible=False)
    viewer.layers.selection.active = viewer.layers[1]
    assert viewer.dims.range[2].start == -51
    table = panel.parts.clusters.table
    for row in (1, 0):
        cell = table.visualItemRect(table.item(row, 1)).center()
        qtbot.mouseClick(table.viewport(), LEFT, pos=cell)
        assert viewer.dims.point == pytest.approx(
            panel.parts.clusters.clusters[row].place
        )
        words = panel.parts.crosshair.text()
        assert f"{table.item(row, 0).text()} probability" in words


def pick(qtbot, panel, text):
    """Choose an entry of the menu of regions with the mouse."""
    button = panel.parts.regions
    qtbot.mouseClick(button, LEFT)
    menu = button.choices
    qtbot.waitUntil(menu.isVisible, **WAIT)
    (action,) = (one for one in menu.actions() if one.text() == text)
    qtbot.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())
    qtbot.waitUntil(lambda: not menu.isVisible(), **WAIT)


def test_regions_by_file_by_atlas_and_none(qtbot, docks, tmp_path, monkeypatch):
    viewer, panel, _ = docks
    said = panel.parts.crosshair
    viewer.dims.point = HOT
    pick(qtbot, panel, "None")
    assert "atlas" not in viewer.layers
    qtbot.waitUntil(lambda: panel.parts.regions.text() == "Regions: none…", **WAIT)
    qtbot.waitUntil(lambda: said.text().endswith("probability"), **WAIT)
    # An atlas by its name; a stand-in for what nilearn fetches.
    labels = np.zeros((41, 49, 41), np.int16)
    labels[21:] = 5
    grid = np.diag([2.0, 2.0, 2.0, 1.0])
    grid[:3, 3] = -40, -48, -40
    fetched = Volume.from_native(labels, grid), {5: "Angular gyrus"}
    module = "napari_neuropretrain.explanation.region_atlas._fetch"
    monkeypatch.setattr(module, lambda name, part: fetched)
    pick(qtbot, panel, "aal")
    qtbot.waitUntil(lambda: "right Angular gyrus" in said.text(), **WAIT)
    assert panel.parts.regions.text() == "Regions: aal…"
    # Under the mouse, moved over the canvas.
    canvas = viewer.window._qt_viewer.canvas.native
    viewer.scene.camera.center = (0.0, 24.0, 20.0)
    middle = canvas.rect().center()
    qtbot.mouseMove(canvas, middle - QPoint(9, 5))
    qtbot.mouseMove(canvas, middle)
    mouse = panel.parts.mouse
    qtbot.waitUntil(lambda: "right Angular gyrus" in mouse.text(), **WAIT)
    # One that cannot be had is said, and the one before stays.
    monkeypatch.undo()
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path))

    def offline(*given: object, **named: object) -> None:
        raise OSError

    monkeypatch.setattr("nilearn.datasets.fetch_atlas_juelich", offline)
    pick(qtbot, panel, "juelich")
    problem = panel.parts.problem
    qtbot.waitUntil(lambda: "could not be fetched" in problem.text(), **WAIT)
    assert panel.parts.regions.text() == "Regions: aal…"


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
    viewer.scene.camera.zoom *= 1.2  # maps are compared, so it stays
    zoom = viewer.scene.camera.zoom
    panel.switch.open_folder(tmp_path / "more")
    cine = panel.parts.cine
    qtbot.waitUntil(lambda: cine.list.count() == 2, **WAIT)
    names = [cine.list.item(row).text() for row in range(2)]
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
    assert viewer.scene.camera.zoom == zoom
    assert not any(one.visible for one in cine.maps)
    assert [cine.list.item(row).text() for row in range(2)] == names
    qtbot.mouseClick(panel.parts.trust.random, LEFT)
    assert not panel.switch.random_shown


def test_the_panel_fits_a_narrow_dock(qtbot, docks):
    _, panel, planes = docks
    assert panel.minimumSizeHint().width() <= 380
    assert planes.minimumSizeHint().width() <= 380
    choice = panel.parts.map
    choice.addItem("sub-0123456789_ses-baseline_space-MNI152_desc-randomised_map")
    choice.setCurrentIndex(choice.count() - 1)
    words = choice.shortened()
    assert words.startswith("sub-0")
    assert words.endswith("d_map")
    assert choice.fontMetrics().horizontalAdvance(words) < choice.width()
