"""The map in the viewer while a run goes on; the run is a stand-in."""

from __future__ import annotations

import sys

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_neuropretrain.gui.explanation.explain_widget import ExplainWidget
from napari_neuropretrain.gui.explanation.live_map import LiveMap
from napari_neuropretrain.gui.scans import layers, view

WAIT = {"timeout": 60_000}


@pytest.fixture
def live(qtbot) -> LiveMap:
    live = LiveMap(ViewerModel())
    live.begin()
    return live


def test_one_layer_is_refined_and_a_look_stays(qtbot, live, run, make_run, tmp_path):
    scan = next(run.parent.rglob("*preproc_T1w.nii.gz"))
    values = {"preview": str(run), "template_t1": str(scan), "unit": "years"}
    with qtbot.waitSignal(live.refined, **WAIT):
        live.take(values)
    viewer, layer = live._viewer, live.layer
    assert [one.name for one in viewer.layers] == [
        "sub-01_space-MNI152_desc-preproc_T1w",
        "sub-01_space-MNI152_desc-occlusion_map (so far)",
    ]
    assert layer.metadata["unit"] == "years"
    assert layer.contrast_limits == pytest.approx([-0.8, 0.8])
    viewer.dims.point = (0, 0, 0)
    values["preview"] = str(make_run(tmp_path / "later", "first", 2.0))
    with qtbot.waitSignal(live.refined, **WAIT):
        live.take(values)
    assert live.layer is layer
    assert len(viewer.layers) == 2
    assert np.max(layer.data) == pytest.approx(1.6)
    assert layer.contrast_limits == pytest.approx([-1.6, 1.6])
    assert tuple(viewer.dims.point) == (0, 0, 0)
    # What somebody set is left alone.
    layers.set_threshold(layer, 0.5)
    values["preview"] = str(run)
    with qtbot.waitSignal(live.refined, **WAIT):
        live.take(values)
    assert layers.look_of(layer).threshold == pytest.approx(0.8)
    assert layer.contrast_limits == pytest.approx([-1.6, 1.6])


def test_the_crosshair_follows_the_strongest_place_until_it_is_moved(
    qtbot, live, tmp_path
):
    path = tmp_path / "sub-01_space-MNI152_desc-occlusion_map.nii.gz"
    viewer, values = live._viewer, np.zeros((5, 6, 7), np.float32)

    def grow(place, strength):
        values[place] = strength
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)
        with qtbot.waitSignal(live.refined, **WAIT):
            live.take({"preview": str(path)})
        return tuple(viewer.dims.point)

    assert grow((1, 2, 3), 1.0) == (3, 2, 1)
    assert grow((4, 5, 6), -2.0) == (6, 5, 4)
    viewer.dims.point = (2, 2, 2)
    assert grow((0, 0, 0), 3.0) == (2, 2, 2)


def test_the_pair_of_a_preprocessing_makes_room(qtbot, live, run):
    viewer, grid = live._viewer, np.diag([2.0, 2.0, 2.0, 1.0])
    side = {layers.SIDE_KEY: layers.BEFORE}
    head, mask = np.ones((5, 6, 7)), np.ones((5, 6, 7))
    before = layers.t1_layer(head, grid, "raw", **side)
    view.add_layers(viewer, [before, layers.mask_layer(mask, grid, "mask", **side)])
    assert viewer.canvas.overlays["text"].text.startswith("Before: ")
    scan = next(run.parent.rglob("*preproc_T1w.nii.gz"))
    with qtbot.waitSignal(live.refined, **WAIT):
        live.take({"preview": str(run), "template_t1": str(scan)})
    assert [one.visible for one in viewer.layers] == [False, False, True, True]
    assert viewer.canvas.overlays["text"].text.startswith("up: ")


def test_only_the_latest_waits(qtbot, live, run, make_run, tmp_path):
    later = [make_run(tmp_path / str(n), "first", n) for n in (2.0, 3.0)]
    shown = []
    live.refined.connect(lambda layer: shown.append(float(np.max(layer.data))))
    for path in (run, *later):
        live.take({"preview": str(path)})
    qtbot.waitUntil(lambda: len(shown) == 2, **WAIT)
    assert shown == pytest.approx([0.8, 2.4])


def test_a_map_that_is_not_there_does_no_harm(qtbot, live, run, tmp_path):
    live.take({"preview": str(tmp_path / "none_desc-occlusion_map.nii.gz")})
    qtbot.waitUntil(lambda: not live._busy, **WAIT)
    with qtbot.waitSignal(live.refined, **WAIT):
        live.take({"preview": str(run)})


JOB = """
import json, sys, time
from pathlib import Path
import yaml
config = yaml.safe_load(Path(sys.argv[-1]).read_text())
folder = Path(config["output"])
folder.mkdir(parents=True, exist_ok=True)
stop = folder / "stop"
maps = {maps!r}
began = time.time()

def say(state, **more):
    event = {{"time": time.time(), "seconds": time.time() - began, "state": state}}
    with (folder / "events.jsonl").open("a") as stream:
        stream.write(json.dumps(event | more) + "\\n")

say("started")
for path in maps:
    say("step", step=1, total=3, values={{"preview": path}})
    time.sleep(1.0)
while not stop.exists() and {waits}:
    time.sleep(0.1)
say("result", message="Map", values={{"kind": "occlusion", "path": maps[-1]}})
final = "stopped" if {waits} else "finished"
code = 130 if {waits} else 0
say(final, message="Ended.", values={{"exit_code": code}})
sys.exit(code)
"""


@pytest.fixture
def make_widget(qtbot, run, make_run, tmp_path, monkeypatch):
    module = "napari_neuropretrain.gui.jobs.job_widget.notifications."
    monkeypatch.setattr(module + "show_info", lambda text: None)
    monkeypatch.setattr(module + "show_warning", lambda text: None)

    def make(waits: bool) -> ExplainWidget:
        maps = [str(run), str(make_run(tmp_path / "second", "first", 2.0))]
        script = tmp_path / "job.py"
        script.write_text(JOB.format(maps=maps, waits=waits))
        command = (sys.executable, str(script))
        widget = ExplainWidget(ViewerModel(), command)
        qtbot.addWidget(widget)
        for name in ("model", "input"):
            widget.form.widgets[name].line_edit.value = str(tmp_path)
        widget.form.widgets["output"].line_edit.value = str(tmp_path / "out")
        return widget

    return make


def test_a_run_shows_its_map_so_far_and_then_the_whole(qtbot, make_widget):
    widget = make_widget(waits=False)
    seen = []
    widget.live_map.refined.connect(lambda layer: seen.append(layer.name))
    with qtbot.waitSignals([widget.ended, widget.shown], timeout=60_000):
        widget.start()
    assert seen
    assert set(seen) == {"sub-01_space-MNI152_desc-occlusion_map (so far)"}
    names = [one.name for one in layers.occlusion_layers(widget._napari)]
    assert names == ["sub-01_space-MNI152_desc-occlusion_map"]


def test_cancel_keeps_what_is_there(qtbot, make_widget):
    widget = make_widget(waits=True)
    with qtbot.waitSignal(widget.live_map.refined, timeout=60_000):
        widget.start()
    qtbot.waitUntil(
        lambda: float(np.max(widget.live_map.layer.data)) > 1, timeout=60_000
    )
    endings = []
    widget.ended.connect(lambda ending: endings.append(ending.state))
    with qtbot.waitSignals([widget.ended, widget.shown], timeout=60_000):
        widget.cancel()
    assert endings == ["stopped"]
    (layer,) = layers.occlusion_layers(widget._napari)
    assert np.max(layer.data) == pytest.approx(1.6)
