"""Pre-training: sources, what cannot be started, previews."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray

from napari_neuropretrain.config.estimate import Estimate
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.gui.jobs import estimate_panel
from napari_neuropretrain.gui.jobs.pretrain_widget import PretrainWidget
from napari_neuropretrain.gui.jobs.preview_layers import preview_layers, previews_of
from napari_neuropretrain.gui.jobs.results import load_result

FAKE_ESTIMATE = """
import json, sys
from pathlib import Path
import yaml
command, _, path, _ = sys.argv[1:]
settings = yaml.safe_load(Path(path).read_text())
known = {"parameters": 2000, "trainable": 2000, "done": True}
if command != "estimate-pretrain":
    known["problem"] = "an estimate of something else"
elif settings["method"] == "mae":
    known["problem"] = "method: mae does not work with DenseNet."
else:
    known["scans"] = {"train": 9, "validation": 3}
print(json.dumps(known), flush=True)
"""
FAKE_PREVIEW = """
import json, shutil, sys, time
from pathlib import Path
import yaml
made, path = sys.argv[1], sys.argv[-1]
settings = yaml.safe_load(Path(path).read_text())
out = Path(settings["output"])
(Path(made) / "asked.json").write_text(json.dumps(settings))
def say(state, message="", **more):
    with (out / "events.jsonl").open("a") as file:
        event = {"time": time.time(), "state": state, "message": message, **more}
        file.write(json.dumps(event) + chr(10))
say("started")
if settings["index"] == 5:
    time.sleep(60)
if settings["index"] > 7:
    say("failed", "index: there is no volume 8.")
    sys.exit(1)
for one in Path(made).iterdir():
    shutil.copy(one, out)
say("step", "Reading the volume", step=0, total=2)
say("warning", "The weights of the run are not used.")
values = {"kind": "preview", "path": str(out / "preview.json"), "volumes": 8}
say("result", values=values)
say("finished", "Volume 0 of 8: sub-01.")
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A masked preview of 16^3 voxels: a ball, half of it hidden, restored as 1."""
    folder = tmp_path / "made"
    folder.mkdir()
    x, y, z = np.mgrid[:16, :16, :16] - 7.5
    brain = x**2 + y**2 + z**2 < 36
    original = np.where(brain, y / 3 + 0.01, 0)
    hidden = x > 0
    volumes = {
        "original": original,
        "masked": np.where(hidden, 0, original),
        "restored": np.where(hidden, 1, original),
        "hidden": hidden,
    }
    for name, data in volumes.items():
        image = nib.Nifti1Image(data.astype(np.float32), np.diag([4.0, 4, 4, 1]))
        nib.save(image, folder / f"{name}.nii.gz")
    names = {"original": "original", "masked": "masked (50%)"}
    names["restored"] = "restored (epoch 3)"
    images: list[dict[str, str]] = [
        {"name": name, "file": f"{stem}.nii.gz"} for stem, name in names.items()
    ]
    images[1]["hidden"] = "hidden.nii.gz"
    (folder / "preview.json").write_text(json.dumps({"images": images}))
    return folder


@pytest.fixture
def commands(tmp_path: Path, made: Path) -> dict[str, list[str]]:
    scripts = {"estimate_command": FAKE_ESTIMATE, "command": FAKE_PREVIEW}
    for name, text in scripts.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    words = {name: [sys.executable, str(tmp_path / f"{name}.py")] for name in scripts}
    words["command"].append(str(made))
    return words


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def widget(
    qtbot: Any,
    tmp_path: Path,
    commands: dict[str, list[str]],
    viewer: ViewerModel,
    monkeypatch: pytest.MonkeyPatch,
) -> PretrainWidget:
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(estimate_panel, "DELAY_MS", 10)
    widget = PretrainWidget(viewer, **commands)
    qtbot.addWidget(widget)
    return widget


def fill(widget: PretrainWidget, **values: object) -> None:
    for name, value in values.items():
        field = widget.form.widgets[name]
        if hasattr(field, "line_edit"):
            field.line_edit.value = str(value)
        else:
            field.value = value


def wait(qtbot: Any, widget: PretrainWidget) -> Estimate:
    qtbot.waitUntil(lambda: widget.estimate.found.done, timeout=20_000)
    return widget.estimate.found


def test_a_cohort_is_wanted_where_it_is_the_source(
    widget: PretrainWidget, tmp_path: Path
) -> None:
    assert widget.problem.text() == "To start, fill in: Cohort, Output."
    fill(widget, source="template_cohort", output=tmp_path)
    assert widget.problem.text() == ""
    assert widget.start_button.isEnabled()
    cohort = widget.form.widgets["cohort"]
    assert not cohort.native.isEnabled()
    assert cohort.line_edit.native.placeholderText() == "not used"
    # A cohort that was filled in before does not count then.
    fill(widget, source="cohort", cohort=tmp_path)
    assert cohort.native.isEnabled()
    fill(widget, source="template_cohort")
    config = widget.form.config()
    assert isinstance(config, PretrainConfig)
    assert str(config.cohort) == "-"
    fill(widget, source="cohort")
    assert widget.form.config().cohort == tmp_path  # type: ignore[attr-defined]


def test_an_input_that_is_not_there_is_said(
    widget: PretrainWidget, tmp_path: Path
) -> None:
    fill(widget, cohort=tmp_path / "none")
    first, last = widget.problem.text().splitlines()
    assert first.startswith(f"cohort: nothing at '{tmp_path / 'none'}'")
    assert last == "To start, fill in: Output."
    fill(widget, source="label_maps", output=tmp_path)
    assert widget.problem.text().startswith("source: path: nothing at 'label_maps'")
    assert not widget.start_button.isEnabled()
    assert not widget.estimate.busy()


def test_what_the_estimate_refuses_cannot_start(
    qtbot: Any, widget: PretrainWidget, tmp_path: Path
) -> None:
    fill(widget, source="template_cohort", output=tmp_path)
    assert wait(qtbot, widget).problem == ""
    assert widget.estimate.facts.text() == (
        "2 k parameters, all trained · 9 train / 3 validation"
    )
    fill(widget, method="mae")
    wait(qtbot, widget)
    assert widget.problem.text() == "method: mae does not work with DenseNet."
    assert not widget.start_button.isEnabled()
    fill(widget, method="y_aware")
    wait(qtbot, widget)
    assert widget.problem.text() == ""
    assert widget.start_button.isEnabled()


def test_a_preview_has_the_settings_of_the_form(
    widget: PretrainWidget, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    assert widget.preview_config(0, there) is None
    assert "give a cohort" in widget.preview.said.text()
    fill(widget, source="template_cohort", method="mae", output=tmp_path / "run")
    config = widget.preview_config(3, there)
    assert config is not None
    assert (config.index, config.output, str(config.run)) == (3, there, "-")
    assert (config.source.name, config.method.name) == ("template_cohort", "mae")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("method: mae")
    config = widget.preview_config(3, there)
    assert config is not None
    assert config.run == tmp_path / "run"
    fill(widget, source="video")
    assert widget.preview_config(0, there) is None
    assert "nothing at 'videos'" in widget.preview.said.text()


def press(qtbot: Any, widget: PretrainWidget) -> Any:
    with qtbot.waitSignal(widget.preview.ended, timeout=30_000) as ended:
        widget.preview.button.click()
    return ended.args[0]


def test_a_preview_arrives_side_by_side(
    qtbot: Any, widget: PretrainWidget, viewer: ViewerModel, made: Path
) -> None:
    fill(widget, source="template_cohort")
    viewer.add_image(np.zeros((3, 3, 3)), name="other")
    assert press(qtbot, widget).state == "finished"
    names = ["preview: original", "preview: masked (50%)"]
    names.append("preview: restored (epoch 3)")
    shown = previews_of(viewer)
    assert [layer.name for layer in shown] == names
    assert [layer.visible for layer in viewer.layers] == [False, True, True, True]
    grid = viewer.canvas.grid
    assert grid.enabled
    places = [grid.position(i, viewer.layers) for i in range(1, 4)]
    assert places == [(0, 0), (0, 1), (1, 0)]
    assert len({tuple(layer.contrast_limits) for layer in shown}) == 1
    assert {tuple(layer.scale) for layer in shown} == {(4, 4, 4)}
    assert {layer.name_overlay.visible for layer in shown} == {True}
    said = "Volume 0 of 8: sub-01.\nThe weights of the run are not used."
    assert widget.preview.said.text() == said
    assert widget.preview.button.text() == "Preview"
    folder = json.loads((made / "asked.json").read_text())["output"]
    assert not Path(folder).exists()
    widget.preview.beside.setChecked(False)
    assert not grid.enabled
    assert [layer.visible for layer in shown] == [True, False, False]
    point = (8.0, 20.0, 12.0)
    viewer.dims.point = point
    press(qtbot, widget)
    again = previews_of(viewer)
    assert [layer.name for layer in again] == names
    assert not set(again) & set(shown)
    assert viewer.dims.point == pytest.approx(point, abs=4)
    assert not grid.enabled


def test_a_preview_that_fails_says_why(
    qtbot: Any, widget: PretrainWidget, viewer: ViewerModel
) -> None:
    fill(widget, source="template_cohort")
    widget.preview.index.setValue(8)
    assert press(qtbot, widget).state == "failed"
    assert widget.preview.said.text() == "No preview: index: there is no volume 8."
    assert not viewer.layers


def test_a_preview_can_be_stopped(
    qtbot: Any, widget: PretrainWidget, made: Path
) -> None:
    fill(widget, source="template_cohort")
    widget.preview.index.setValue(5)
    widget.preview.button.click()
    assert widget.preview.button.text() == "Stop preview"
    qtbot.waitUntil(lambda: (made / "asked.json").exists(), timeout=20_000)
    assert press(qtbot, widget).state == "stopped"
    assert widget.preview.said.text() == ""
    assert widget.preview.button.text() == "Preview"


def test_background_is_dark_and_what_is_hidden_is_grey(made: Path) -> None:
    original, masked, restored = preview_layers(made / "preview.json")
    low, high = original[1]["contrast_limits"]
    assert low < 0 < high
    brain = np.asarray(nib.load(made / "original.nii.gz").dataobj) != 0
    hidden = np.asarray(nib.load(made / "hidden.nii.gz").dataobj) > 0

    def data(layer: Any) -> NDArray[Any]:
        return np.asarray(layer[0]).transpose()  # (z, y, x) -> (x, y, z)

    assert np.all(data(original)[~brain] == pytest.approx(low))
    assert np.all(data(masked)[~brain & ~hidden] == pytest.approx(low))
    assert np.all(data(masked)[hidden] == 0)
    assert np.all(data(restored)[brain & hidden] == 1)
    assert np.all(data(restored)[~brain] == pytest.approx(low))
    again = load_result("preview", made).layers
    assert [layer[1]["name"] for layer in again] == [
        layer[1]["name"] for layer in (original, masked, restored)
    ]


def test_the_lower_half_is_as_high_as_its_contents(
    qtbot: Any, widget: PretrainWidget, tmp_path: Path
) -> None:
    widget.resize(380, 640)
    widget.show()
    fill(widget, source="template_cohort", output=tmp_path)
    qtbot.waitUntil(lambda: widget.panel.log.height() > 0, timeout=5000)
    qtbot.wait(50)
    values = {"loss": 1.0, "validation_loss": 2.0, "epoch": 1}
    event = {"state": "epoch", "step": 1, "total": 2, "values": values}
    widget.panel.state.setText("words that need more than one line " * 6)
    widget.panel.take([event])

    def fits() -> bool:
        parts = (widget.panel.state, widget.panel.bar, widget.panel.curves)
        tall = all(p.height() >= p.heightForWidth(p.width()) for p in parts)
        plot, log = widget.panel.curves.geometry(), widget.panel.log.geometry()
        inside = widget.panel.curves.plot.geometry().bottom() <= plot.height()
        return bool(plot.bottom() < log.top()) and tall and inside

    qtbot.waitUntil(fits, timeout=5000)
