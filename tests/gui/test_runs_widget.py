"""The dock widget Runs, with runs that a fake job writes."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from qtpy.QtWidgets import QApplication

from napari_neuropretrain.config.jobs import PredictConfig
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.gui.runs import run_actions, run_commands, runs_widget
from napari_neuropretrain.gui.runs.runs_widget import RunsWidget
from napari_neuropretrain.runs import request_stop
from napari_neuropretrain.runs.process import start


def write(folder: Path, *events: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.jsonl").open("a") as file:
        for event in events:
            file.write(json.dumps({"time": time.time(), **event}) + "\n")
    return folder


def started(job: str = "finetune", alive: bool = True) -> dict[str, Any]:
    pid = os.getpid() if alive else 2**22 + 1
    values = {"job": job, "pid": pid, "host": platform.node(), "device": "cpu"}
    values["created"] = psutil.Process().create_time()
    return {"state": "started", "values": values}


def epoch(number: int, loss: float) -> dict[str, Any]:
    values = {"epoch": number, "loss": loss, "validation_loss": 2 * loss}
    return {"state": "epoch", "step": number, "total": 4, "values": values}


def settings(folder: Path, **changes: Any) -> Path:
    config = FinetuneConfig(cohort=folder, output=folder, **changes)
    text = "# napari-neuropretrain 0: neuropretrain finetune\n" + config.to_yaml()
    (folder / "config.yaml").write_text(text)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    done = {"state": "finished", "message": "Test of 6 scans.", "values": {}}
    memory = {"message": "Out of memory.", "values": {"cause": "memory"}}
    root = tmp_path / "project"
    write(root / "a", started(), epoch(1, 0.9), epoch(2, 0.5), done)
    write(root / "b", started(), epoch(1, 0.7), {"state": "failed", **memory})
    write(root / "c", started(), {"state": "heartbeat", "values": {"rss_mib": 2048}})
    for name in "abc":
        settings(root / name, batch_size=8)
    return root


@pytest.fixture
def widget(qtbot, project: Path):
    made = RunsWidget(None, project)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitUntil(lambda: len(made.tree._items) == 3, timeout=10_000)
    return made


def row(widget: RunsWidget, path: Path) -> list[str]:
    return [widget.tree._items[path].text(column) for column in range(5)]


def test_runs_are_listed_as_they_are(qtbot, widget: RunsWidget, project: Path) -> None:
    assert row(widget, project / "a")[:3] == ["a", "finished", "100 %"]
    assert row(widget, project / "b")[:3] == ["b", "failed", "25 %"]
    assert row(widget, project / "c") == ["c", "running", "", "", "2.0 GiB"]
    step = {"state": "step", "step": 1, "total": 4}
    write(project / "c", step, step | {"step": 2, "time": time.time() + 60})
    qtbot.waitUntil(lambda: row(widget, project / "c")[2] == "50 %", timeout=10_000)
    assert row(widget, project / "c")[3] == "2 min"
    write(project / "d", started("predict"))
    widget._watch.search()
    qtbot.waitUntil(lambda: len(widget.tree._items) == 4, timeout=10_000)


def test_live_curves_log_and_several_runs_in_one_plot(
    qtbot, widget: RunsWidget, project: Path
) -> None:
    widget.tree.select(project / "c")
    assert widget.details.curves.isHidden()
    assert widget.details.no_curves.isVisible()
    write(project / "c", epoch(1, 0.8) | {"message": "Epoch 1 of 4"})
    curves = widget.details.curves
    qtbot.waitUntil(lambda: not curves.isHidden(), timeout=10_000)
    assert curves.plot.values() == [("training", "0.8"), ("validation", "1.6")]
    assert "Epoch 1 of 4" in widget.details.log.toPlainText()
    widget.tree._items[project / "a"].setSelected(True)
    labels = [label for label, _ in curves.plot.values()]
    assert labels[0] == "c: training"
    assert labels[2:] == ["a: training", "a: validation"]


@pytest.mark.parametrize(
    ("name", "enabled"),
    [
        ("a", {"again", "copy", "delete"}),
        ("b", {"pause", "again", "copy", "delete"}),
        ("c", {"pause", "keep_best", "cancel", "again", "copy"}),
    ],
)
def test_buttons_can_do_what_fits(
    widget: RunsWidget, project: Path, name: str, enabled: set[str]
) -> None:
    widget.tree.select(project / name)
    names = ("pause", "keep_best", "cancel", "again", "copy", "report", "delete")
    found = {one for one in names if getattr(widget.buttons, one).isEnabled()}
    assert found == enabled
    assert widget.buttons.pause.text() == ("Resume" if name != "c" else "Pause")


def test_pause_and_keep_best_leave_a_word(
    qtbot, widget: RunsWidget, project: Path
) -> None:
    widget.tree.select(project / "c")
    widget.buttons.pause.click()
    qtbot.waitUntil(lambda: (project / "c" / "pause").exists(), timeout=10_000)
    qtbot.waitUntil(lambda: "pauses" in widget.said.text(), timeout=10_000)
    write(project / "c", {"state": "paused", "message": "Paused."})
    button = widget.buttons.pause
    qtbot.waitUntil(lambda: button.text() == "Resume", timeout=10_000)
    assert row(widget, project / "c")[1] == "paused"
    button.click()
    qtbot.waitUntil(lambda: not (project / "c" / "pause").exists(), timeout=10_000)
    write(project / "c", {"state": "running"})
    qtbot.waitUntil(lambda: button.text() == "Pause", timeout=10_000)
    widget.buttons.keep_best.click()
    qtbot.waitUntil(lambda: (project / "c" / "keep_best").exists(), timeout=10_000)


def test_a_failure_offers_to_retry_with_the_fix(
    qtbot, widget: RunsWidget, project: Path, monkeypatch
) -> None:
    given = []
    monkeypatch.setattr(
        run_commands, "start", lambda *words, **more: given.append((words, more))
    )
    widget.tree.select(project / "b")
    assert "Out of memory." in widget.details.words.text()
    retry = widget.buttons.remedies.buttons[0]
    assert retry.text() == "Retry with half the batch"
    retry.click()
    qtbot.waitUntil(lambda: bool(given), timeout=10_000)
    (job, config), more = given[0]
    assert (job, config.batch_size, config.accumulate) == ("finetune", 4, 2)
    assert more == {"queued": True}
    widget.tree.select(project / "a")
    assert widget.buttons.remedies.buttons == []


def test_deleting_asks_in_the_panel(qtbot, widget: RunsWidget, project: Path) -> None:
    widget.tree.select(project / "a")
    assert widget.confirm.isHidden()
    widget.buttons.delete.click()
    assert str(project / "a") in widget.confirm.question.text()
    widget.confirm.no.click()
    assert (project / "a").exists()
    widget.buttons.delete.click()
    widget.tree.select(project / "b")
    assert widget.confirm.isHidden()
    widget.tree.select(project / "a")
    widget.buttons.delete.click()
    widget.confirm.yes.click()
    qtbot.waitUntil(lambda: len(widget.tree._items) == 2, timeout=10_000)
    assert not (project / "a").exists()


def test_copy_and_report(widget: RunsWidget, project: Path, monkeypatch) -> None:
    widget.tree.select(project / "a")
    widget.buttons.copy.click()
    text = QApplication.clipboard().text()
    assert text.startswith("neuropretrain finetune --cohort ")
    assert widget.said.text() == "Copied the command."
    widget.tree.select(project / "b")
    assert widget.said.text() == ""  # it was said of another run
    widget.tree.select(project / "a")
    (project / "a" / "report.html").write_text("<p>")
    widget._show_chosen()
    opened = []
    monkeypatch.setattr(runs_widget, "open_page", opened.append)
    widget.buttons.report.click()
    assert opened == [project / "a" / "report.html"]


def test_run_again_fills_the_form_for_another_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_neuropretrain.runs.record import read_run

    config = run_actions.changed_copy(read_run(project / "b"))
    assert config.batch_size == 8
    assert config.output == project / "b-1"

    opened, filled = [], []
    form = SimpleNamespace(fill=filled.append)
    panel = SimpleNamespace(form=form, leave=lambda: filled.append("left"))
    monkeypatch.setattr(
        run_actions, "open_panel", lambda viewer, name: opened.append(name) or panel
    )
    run_actions.open_form(None, "finetune", config)
    assert (opened, filled) == (["Fine-tune"], ["left", config])


def test_another_folder_and_an_empty_one(
    qtbot, widget: RunsWidget, tmp_path: Path
) -> None:
    widget.open_folder(tmp_path / "nothing")
    qtbot.waitUntil(lambda: "No run below" in widget.said.text(), timeout=10_000)
    assert not widget.buttons.copy.isEnabled()


def test_a_real_process_from_the_list_to_its_end(
    qtbot, tmp_path: Path, fake_job, widget: RunsWidget, project: Path
) -> None:
    config = PredictConfig(model=tmp_path, input=tmp_path, output=project / "z")
    child = start("predict", config, fake_job("count"))
    widget._watch.search()
    place = project / "z"
    qtbot.waitUntil(lambda: place in widget.tree._items, timeout=10_000)
    widget.tree.select(place)
    assert row(widget, place)[1] == "running"
    widget.buttons.cancel.click()
    qtbot.waitUntil(lambda: row(widget, place)[1] == "stopped", timeout=20_000)
    request_stop(place)
    qtbot.waitUntil(lambda: not child.alive(), timeout=10_000)


def test_the_thread_ends_with_the_widget(qtbot, project: Path) -> None:
    made = RunsWidget(None, project)
    thread = made._watch._thread
    made.deleteLater()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=10_000)
