"""The guided path: how far it is, Next, Repeat, Cancel, leaving and coming back."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_neuropretrain.config.jobs import DemoConfig
from napari_neuropretrain.demo import steps as demo_steps
from napari_neuropretrain.demo.steps import STEPS
from napari_neuropretrain.gui.guide import guide_widget
from napari_neuropretrain.gui.guide.guide_widget import GuideWidget
from napari_neuropretrain.gui.guide.pages import PAGES
from napari_neuropretrain.gui.guide.path_state import (
    EPOCHS,
    PARTICIPANTS,
    keep_settings,
    path_settings,
    read_steps,
    results_of,
    shown_first,
)
from napari_neuropretrain.gui.guide.seen import Seen
from napari_neuropretrain.gui.scans import layers

FAKE = """
import json, os, sys, time
from pathlib import Path
import yaml
settings = yaml.safe_load(Path(sys.argv[-1]).read_text())
out = Path(settings["output"])
def say(state, **more):
    with (out / "events.jsonl").open("a") as file:
        file.write(json.dumps({"time": time.time(), "state": state, **more}) + chr(10))
say("started", values={"pid": os.getpid(), "job": out.name})
if (out.parent / "fail").exists():
    say("failed", message="There is no room.")
    sys.exit(1)
for step in range(2000 if (out.parent / "slow").exists() else 1):
    say("step", message="Working", step=step, total=2000)
    if (out / "stop").exists():
        say("stopped", message="Stopped.")
        sys.exit(3)
    time.sleep(0.02)
if out.name == "finetune":
    (out / "predictions.tsv").write_text(
        "participant_id\\tsplit\\tlabel\\tprediction\\tpredicted_label\\n"
        "sub-01\\ttest\\tAD\\t0.9\\tAD\\n"
    )
say("finished", message="Done.", values={"exit_code": 0})
"""


def record(folder, state, at, exit_code=0):
    folder.mkdir(parents=True, exist_ok=True)
    events = [
        {"time": at, "state": "started", "values": {"pid": 2**22 + 1}},
        {"time": at + 1, "state": "heartbeat"},
        {"time": at + 2, "state": state, "values": {"exit_code": exit_code}},
    ]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "events.jsonl").write_text(text)


def test_every_step_has_a_page_of_two_sentences():
    assert list(PAGES) == [step.name for step in STEPS]
    for page in PAGES.values():
        assert page.words.replace("AD here.", "AD here .").count(". ") >= 1


def test_the_state_is_what_the_folder_tells(tmp_path):
    assert [one.state for one in read_steps(tmp_path)] == ["to do"] * 5
    record(tmp_path / "cohort", "finished", 100.0)
    record(tmp_path / "preprocessed", "finished", 200.0)
    record(tmp_path / "finetune", "failed", 300.0)
    record(tmp_path / "predict", "finished", 400.0)
    states = [one.state for one in read_steps(tmp_path)]
    assert states == ["done", "done", "failed", "to do", "to do"]
    assert shown_first(read_steps(tmp_path)) == 2
    record(tmp_path / "finetune", "finished", 300.0, exit_code=1)
    assert read_steps(tmp_path)[2].state == "failed"
    # Made again: what came after it is to be done again.
    record(tmp_path / "cohort", "finished", 900.0)
    assert [one.state for one in read_steps(tmp_path)] == ["done", *["to do"] * 4]
    record(tmp_path / "preprocessed", "heartbeat", 950.0)
    assert read_steps(tmp_path)[1].state == "lost"


def test_settings_stay_with_the_folder(tmp_path):
    fresh = path_settings(tmp_path / "a")
    assert (fresh.participants, fresh.epochs) == (PARTICIPANTS, EPOCHS)
    keep_settings(DemoConfig(output=tmp_path / "a", participants=12, epochs=3))
    (tmp_path / "a").rename(tmp_path / "b")
    moved = path_settings(tmp_path / "b")
    assert (moved.participants, moved.output) == (12, tmp_path / "b")


def test_results_of_the_first_of_each_kind():
    events = (
        {"state": "result", "values": {"kind": "occlusion", "path": "a", "t1": "x"}},
        {"state": "result", "values": {"kind": "occlusion", "path": "b"}},
    )
    assert results_of(events)["occlusion"]["t1"] == "x"


@pytest.fixture
def widget(qtbot, tmp_path, monkeypatch):
    """A guide whose jobs are quick, and whose steps show only a sentence."""
    monkeypatch.setattr(
        guide_widget, "look_at", lambda name, config: Seen([f"{name} is done."])
    )
    script = tmp_path / "fake_step.py"
    script.write_text(FAKE)
    made = GuideWidget(ViewerModel(), [sys.executable, str(script)])
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: bool(made.states), timeout=20_000)
    path = tmp_path / "path"
    # The inputs of the later steps must exist.
    (path / "preprocessed" / "sub-01" / "anat").mkdir(parents=True)
    scan = f"sub-01{demo_steps.PREPROCESSED_SUFFIX}"
    (path / "preprocessed" / "sub-01" / "anat" / scan).write_bytes(b"")
    made.open_folder(path)
    return made


def press(qtbot, widget, button):
    with qtbot.waitSignal(widget.stepped, timeout=30_000) as told:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    return told.args[0]


def test_next_goes_through_every_step(qtbot, widget):
    assert widget.parts.next.text() == "Next: make a sample cohort"
    for number, step in enumerate(STEPS):
        with qtbot.waitSignal(widget.showed, timeout=30_000):
            assert press(qtbot, widget, widget.parts.next).state == "finished"
        assert widget.shown == number
        assert widget.parts.happened.text() == f"{step.name} is done."
    assert widget.parts.next.text() == "Finished"
    assert not widget.parts.next.isEnabled()
    assert "whole way" in widget.parts.message.text()


def test_a_step_is_repeated_and_those_after_it_are_to_do(qtbot, widget):
    for _ in range(2):
        with qtbot.waitSignal(widget.showed, timeout=30_000):
            press(qtbot, widget, widget.parts.next)
    widget.show_step(0)
    with qtbot.waitSignal(widget.showed, timeout=30_000):
        press(qtbot, widget, widget.parts.repeat)
    assert [one.state for one in widget.states] == ["done", *["to do"] * 4]
    assert widget.parts.next.text() == "Next: preprocess"


def test_cancel_leaves_a_path_that_can_go_on(qtbot, widget):
    folder = widget.parts.folder()
    folder.mkdir(exist_ok=True)
    (folder / "slow").touch()
    with qtbot.waitSignal(widget.stepped, timeout=30_000) as told:
        qtbot.mouseClick(widget.parts.next, Qt.MouseButton.LeftButton)
        assert not widget.parts.next.isEnabled()
        qtbot.waitUntil(
            lambda: "Working" in widget.parts.panel.stage.text(), timeout=20_000
        )
        qtbot.mouseClick(widget.parts.cancel, Qt.MouseButton.LeftButton)
        assert widget.parts.cancel.text() == "End now"
    assert told.args[0].state == "stopped"
    assert "press Next to go on" in widget.parts.message.text()
    (folder / "slow").unlink()
    assert press(qtbot, widget, widget.parts.next).state == "finished"
    assert widget.states[0].state == "done"


def test_a_step_that_fails_says_why_and_can_be_tried_again(qtbot, widget):
    folder = widget.parts.folder()
    (folder / "fail").touch()
    assert press(qtbot, widget, widget.parts.next).state == "failed"
    assert "There is no room." in widget.parts.message.text()
    assert widget.parts.next.isEnabled()
    (folder / "fail").unlink()
    assert press(qtbot, widget, widget.parts.next).state == "finished"
    assert widget.shown == 0


def test_a_path_is_found_again_while_a_step_runs(qtbot, widget, tmp_path):
    folder = widget.parts.folder()
    (folder / "slow").touch()
    qtbot.mouseClick(widget.parts.next, Qt.MouseButton.LeftButton)
    events = folder / "cohort" / "events.jsonl"
    qtbot.waitUntil(events.exists, timeout=20_000)
    # Another napari, or the same one opened again.
    other = GuideWidget(ViewerModel())
    qtbot.addWidget(other)
    qtbot.waitUntil(lambda: bool(other.states), timeout=20_000)
    other.open_folder(folder)
    assert other.states[0].state == "running"
    assert other.run.running
    with qtbot.waitSignals([other.stepped, widget.stepped], timeout=30_000):
        other.cancel()
    assert other.states[0].state == "stopped"


def test_layers_of_the_person_stay(qtbot, widget, monkeypatch):
    head = np.ones((8, 8, 8), np.float32)
    widget._viewer.add_image(head, name="mine")
    shown = [layers.t1_layer(head, np.eye(4), "head")]
    monkeypatch.setattr(
        guide_widget, "look_at", lambda name, config: Seen([name], list(shown))
    )
    with qtbot.waitSignal(widget.showed, timeout=30_000):
        press(qtbot, widget, widget.parts.next)
    assert [layer.name for layer in widget._viewer.layers] == ["mine", "head"]
    shown[:] = [layers.t1_layer(head, np.eye(4), "another")]
    with qtbot.waitSignal(widget.showed, timeout=30_000):
        widget.show_step(0)
    assert [layer.name for layer in widget._viewer.layers] == ["mine", "another"]
