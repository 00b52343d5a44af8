from __future__ import annotations

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_neuropretrain.gui.explanation.explanation_widget import ExplanationWidget
from napari_neuropretrain.gui.explanation.places import shown_map
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import layers, view

WAIT = {"timeout": 60_000}


@pytest.fixture
def widget(qtbot, tmp_path, make_run) -> ExplanationWidget:
    """Three models: one shown, two of a folder."""
    first = make_run(tmp_path / "a", "first")
    make_run(tmp_path / "more/b", "second", 2.0)
    make_run(tmp_path / "more/c", "third", 0.5)
    viewer = ViewerModel()
    view.add_layers(viewer, read_layers(first))
    widget = ExplanationWidget(viewer)
    qtbot.addWidget(widget)
    cine = widget.parts.cine
    assert not cine.play.isEnabled()
    qtbot.mouseClick(cine.add, Qt.MouseButton.LeftButton)
    (dialog,) = widget.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(tmp_path / "more"))
    dialog.close()
    qtbot.waitUntil(lambda: cine.list.count() == 3, **WAIT)
    return widget


def shown_names(widget) -> list[str]:
    maps = layers.occlusion_layers(widget._viewer)
    return [one.name for one in maps if one.visible]


def test_maps_of_a_folder_are_named_by_their_models(widget):
    cine = widget.parts.cine
    names = [cine.list.item(row).text() for row in range(3)]
    assert names[1:] == ["second (occlusion)", "third (occlusion)"]
    assert shown_names(widget) == names[:1]
    assert widget.parts.problem.text() == "2 maps added: press Play."


def test_steps_show_one_map_at_a_time_drawn_alike(qtbot, widget):
    cine, left = widget.parts.cine, Qt.MouseButton.LeftButton
    point = tuple(widget._viewer.dims.point)
    widget.parts.look.clip_low.setValue(0.3)
    qtbot.mouseClick(cine.forward, left)
    assert shown_names(widget) == ["second (occlusion)"]
    layer = shown_map(widget._viewer)
    assert layer.name == "second (occlusion)"
    assert layers.look_of(layer).threshold == pytest.approx(0.3)
    assert layer.contrast_limits == pytest.approx([-0.8, 0.8])
    qtbot.waitUntil(lambda: "+1.6" in widget.parts.crosshair.text(), **WAIT)
    assert widget.parts.map.currentText() == "second (occlusion)"
    cine.alike.setChecked(False)
    qtbot.mouseClick(cine.forward, left)
    layer = shown_map(widget._viewer)
    assert layers.look_of(layer).threshold != pytest.approx(0.3)
    qtbot.mouseClick(cine.forward, left)  # from the last to the first
    assert len(shown_names(widget)) == 1
    qtbot.mouseClick(cine.back, left)
    assert shown_names(widget) == ["third (occlusion)"]
    assert tuple(widget._viewer.dims.point) == point


def test_it_plays_at_its_speed_and_pauses(qtbot, widget):
    cine, left = widget.parts.cine, Qt.MouseButton.LeftButton
    seen = []
    active = widget._viewer.layers.selection.events.active
    active.connect(lambda event: seen.append(getattr(event.value, "name", "")))
    cine.speed.setValue(10)
    qtbot.mouseClick(cine.play, left)
    assert cine.play.text() == "Pause"
    assert cine._timer.interval() == 100
    qtbot.waitUntil(lambda: len(set(seen)) == 3, **WAIT)
    cine.speed.setValue(5)
    assert cine._timer.interval() == 200
    qtbot.mouseClick(cine.play, left)
    assert (cine.play.text(), cine.playing) == ("Play", False)
    assert len(shown_names(widget)) == 1


def test_it_stops_when_the_maps_are_gone(qtbot, widget):
    cine = widget.parts.cine
    cine.toggle()
    assert cine.playing
    widget._viewer.layers.clear()
    qtbot.waitUntil(lambda: not cine.playing, **WAIT)
    assert cine.list.count() == 0


def test_a_panel_has_a_row_for_each_model(qtbot, widget, tmp_path, monkeypatch):
    drawn = []

    def draw(rows, path, radiological):
        drawn.extend(row.name for row in rows)
        return path

    module = "napari_neuropretrain.gui.explanation.map_writer.exports."
    monkeypatch.setattr(module + "save_panel", draw)
    widget.parts.export.rows.setCurrentIndex(1)
    widget.writer.export("panel", tmp_path / "panel.png")
    qtbot.waitUntil(lambda: len(drawn) == 3, **WAIT)
    names = ["first (occlusion)", "second (occlusion)", "third (occlusion)"]
    assert drawn == names


def test_a_folder_without_such_maps_is_told(qtbot, widget, tmp_path):
    (tmp_path / "empty").mkdir()
    widget.switch.open_folder(tmp_path / "empty")
    problem = widget.parts.problem
    qtbot.waitUntil(lambda: "There is no map of this scan" in problem.text(), **WAIT)
