"""Real trainings in a real viewer: killed, found again, paused, resumed, ended."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.gui.cohort.table_model import PART
from napari_neuropretrain.gui.settings import change_settings
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.runs import process
from napari_neuropretrain.runs.process import attach
from napari_neuropretrain.runs.record import read_run

EDGE, PATIENCE_MS = 16, 120_000
TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}

VIEWER = """
import sys, time
from pathlib import Path
import napari
from qtpy.QtWidgets import QApplication
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.runs import process
process.NICENESS = 0
viewer = napari.Viewer()
_, widget = viewer.window.add_plugin_dock_widget("napari-neuropretrain", "Fine-tune")
widget.form.fill(FinetuneConfig.from_file(sys.argv[1]))
widget.start_button.click()
told = False
while True:
    QApplication.processEvents()
    plot = widget.panel.curves.plot
    if plot is not None and plot.lines and not told:
        print("curves", flush=True)
        told = True
    time.sleep(0.02)
"""

LIMITED = """
import resource, sys
from pathlib import Path
import lightning, torch, nibabel
from napari_neuropretrain.cli.main import main
from napari_neuropretrain.training import finetune
torch.zeros(8, 8).matmul(torch.zeros(8, 8))
status = open("/proc/self/status").read()
used = int(status.partition("VmSize:")[2].split()[0]) * 1024
limit = used + int(float(Path(sys.argv[1]).read_text()) * 2**20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(["finetune", "--config", sys.argv[-1]]))
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings be as important as the test, on a machine with other work."""
    monkeypatch.setattr(process, "NICENESS", 0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen people of 16^3, whose brightness tells their age."""
    root = tmp_path_factory.mktemp("cohort")
    contract = PreprocessingContract(shape=(EDGE,) * 3)
    grid = np.stack(np.meshgrid(*[np.arange(EDGE)] * 3, indexing="ij")) - EDGE / 2
    brain, affine = (grid**2).sum(0) < 36, np.diag([2.0, 2.0, 2.0, 1.0])
    lines = ["participant_id\tage\tsex"]
    for number in range(16):
        scan = Scan(f"sub-{number:02d}", None, Path("raw.nii.gz"))
        noise = np.random.default_rng(number).normal(number / 8, 1, brain.shape)
        image = np.where(brain, noise, 0).astype(np.float32)
        done = Preprocessed(image, affine, brain, brain, np.eye(4), {})
        raw = Volume.from_native(image, affine)
        write_derivative(root, scan, raw, done, contract, {"Path": "raw.nii.gz"})
        lines.append(f"{scan.participant}\t{40 + 2 * number}\t{'MF'[number % 2]}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


def settings(cohort: Path, output: Path, **changes: Any) -> FinetuneConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "backbone": TOY}
    values |= {"epochs": 5000, "patience": 5000, "device": "cpu", "threads": 1}
    values |= {"baselines": False, "find_repeats": False, "learning_rate": 1e-4}
    return FinetuneConfig.parse(values | changes)


def wait_until(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def click(qtbot: Any, button: Any) -> None:
    """Press a button as soon as it can be pressed."""
    qtbot.waitUntil(button.isEnabled, timeout=PATIENCE_MS)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def wait_for_state(qtbot: Any, runs: Any, folder: Path, state: str) -> None:
    """Wait until the panel Runs lists a run in this state."""

    def is_so() -> bool:
        shown = runs.tree._items.get(folder)
        return shown is not None and shown.text(1) == state

    qtbot.waitUntil(is_so, timeout=PATIENCE_MS)


def wait_for_epochs(qtbot: Any, curves: Any, number: int) -> None:
    """Wait until curves have grown to so many epochs."""

    def grown() -> bool:
        lines = curves.plot.lines if curves.plot is not None else []
        return bool(lines) and len(lines[0].epochs) >= number

    qtbot.waitUntil(grown, timeout=PATIENCE_MS)


def process_of(folder: Path) -> psutil.Process:
    """Return the process of a run that goes on."""
    process = attach(folder)._process
    assert process is not None
    return process


def without_estimate(widget: Any) -> Any:
    """Do not wait for what a training would cost."""
    widget.estimate.stop()
    widget.estimate.found = widget.estimate.found.replace(problem="")
    widget._check()
    return widget


@pytest.mark.gl
def test_napari_is_killed_and_the_run_is_found_and_finished(
    no_gl: None, make_napari_viewer: Any, qtbot: Any, cohort: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project" / "age"
    settings(cohort, folder).to_file(tmp_path / "settings.yaml")
    words = [sys.executable, "-c", VIEWER, str(tmp_path / "settings.yaml")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        said = [line.strip() for line in iter(first.stdout.readline, "curves\n")]
        assert first.poll() is None, said
        first.kill()
        first.wait()
    assert read_run(folder).state == "running"
    viewer = make_napari_viewer(show=True)
    name = ("napari-neuropretrain", "Runs")
    _, widget = viewer.window.add_plugin_dock_widget(*name)
    widget.open_folder(tmp_path / "project")
    tree, buttons = widget.tree, widget.buttons

    def wait_for(state: str) -> None:
        wait_for_state(qtbot, widget, folder, state)

    wait_for("running")
    tree.select(folder)
    curves = widget.details.curves
    wait_for_epochs(qtbot, curves, 1)
    wait_for_epochs(qtbot, curves, len(curves.plot.lines[0].epochs) + 1)
    click(qtbot, buttons.pause)
    wait_for("paused")
    click(qtbot, buttons.pause)
    wait_for("running")
    # The training itself is killed, as a system short of memory would.
    process_of(folder).kill()
    wait_for("lost")
    assert "Its process is gone" in widget.details.words.text()
    assert buttons.pause.text() == "Resume"
    click(qtbot, buttons.pause)
    wait_for("running")
    qtbot.waitUntil(
        lambda: "Going on " in widget.details.log.toPlainText(), timeout=PATIENCE_MS
    )
    click(qtbot, buttons.keep_best)
    wait_for("finished")
    assert (folder / "model.safetensors").is_file()
    assert "test" in json.loads((folder / "metrics.json").read_text())
    # Restarted from this process, it is our child: leave no zombie.
    psutil.wait_procs(psutil.Process().children(), timeout=10)


@pytest.mark.gl
def test_a_killed_training_goes_on_with_half_the_batch(
    no_gl: None, make_napari_viewer: Any, qtbot: Any, cohort: Path, tmp_path: Path
) -> None:
    from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget

    viewer = make_napari_viewer(show=True)
    widget = FinetuneWidget(viewer, None, [sys.executable, "-c", "pass"])
    viewer.window.add_dock_widget(widget)
    # Somebody who begins anew does not want to lose the second try, too.
    widget.form.fill(settings(cohort, tmp_path / "run", batch_size=5, overwrite=True))
    without_estimate(widget)
    click(qtbot, widget.start_button)
    wait_for_epochs(qtbot, widget.panel.curves, 2)
    with qtbot.waitSignal(widget.ended, timeout=PATIENCE_MS) as ended:
        process_of(tmp_path / "run").kill()
    # It depends on the memory of this machine whether it was short.
    assert ended.args[0].cause in ("memory", "killed")
    said = widget.panel.state.text()
    assert said.startswith("Lost. Killed ")
    assert "GiB at its peak" in said
    offered = {one.text(): one for one in widget.panel.remedies.buttons}
    assert ("Resume" in offered) == (ended.args[0].cause == "killed")
    click(qtbot, offered["Retry with half the batch"])
    log = widget.panel.log
    qtbot.waitUntil(lambda: "Going on " in log.toPlainText(), timeout=PATIENCE_MS)
    config = widget.form.config()
    assert (config.batch_size, config.accumulate) == (2, 2)
    with qtbot.waitSignal(widget.ended, timeout=PATIENCE_MS) as ended:
        click(qtbot, widget.live.keep_best)
    assert ended.args[0].state == "finished"
    assert widget.panel.table.rowCount() == 16


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_out_of_memory_is_a_sentence_and_a_button(
    no_gl: None, make_napari_viewer: Any, qtbot: Any, cohort: Path, tmp_path: Path
) -> None:
    from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget

    viewer = make_napari_viewer()
    # The weights alone need 350 MiB.
    (tmp_path / "mib").write_text("300")
    limited = [sys.executable, "-c", LIMITED, str(tmp_path / "mib")]
    nothing = [sys.executable, "-c", "pass"]
    widget = FinetuneWidget(viewer, limited, nothing)
    viewer.window.add_dock_widget(widget)
    config = settings(cohort, tmp_path / "run", backbone="vit_b16", batch_size=8)
    widget.form.fill(config)
    without_estimate(widget)
    with qtbot.waitSignal(widget.ended, timeout=PATIENCE_MS) as ended:
        click(qtbot, widget.start_button)
    assert ended.args[0].state in ("failed", "lost"), widget.panel.log.toPlainText()
    assert ended.args[0].cause == "memory", widget.panel.state.text()
    assert "ut of memory" in widget.panel.state.text()
    titles = [button.text() for button in widget.panel.remedies.buttons]
    assert titles == ["Retry with half the batch", "Retry with checkpointing"]
    # Another program has given back its memory since.
    (tmp_path / "mib").write_text("8000")
    click(qtbot, widget.panel.remedies.buttons[0])
    config = widget.form.config()
    assert (config.batch_size, config.accumulate) == (4, 2)
    wait_for_epochs(qtbot, widget.panel.curves, 1)
    with qtbot.waitSignal(widget.ended, timeout=PATIENCE_MS) as ended:
        click(qtbot, widget.cancel_button)
    assert ended.args[0].state == "stopped"


@pytest.mark.gl
def test_two_runs_share_a_device(
    no_gl: None,
    make_napari_viewer: Any,
    npe2pm: Any,
    qtbot: Any,
    click_menu: Any,
    cohort: Path,
    tmp_path: Path,
) -> None:
    npe2pm.register(PluginManifest.from_distribution("napari-neuropretrain"))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 900)
    path = ("Layers", "Classify", "NeuroPretrain")
    click_menu(viewer, *path, "Fine-tune")
    (form,) = viewer.window.dock_widgets.values()
    first, second = tmp_path / "project" / "age", tmp_path / "project" / "age-1"
    form.form.fill(settings(cohort, first))
    click(qtbot, without_estimate(form).start_button)
    wait_for_epochs(qtbot, form.panel.curves, 2)
    click_menu(viewer, *path, "Runs")
    runs = viewer.window.dock_widgets["Runs (NeuroPretrain)"]
    runs.open_folder(tmp_path / "project")
    wait_for_state(qtbot, runs, first, "running")
    runs.tree.select(first)
    click(qtbot, runs.buttons.copy)
    copied = shlex.split(QApplication.clipboard().text())
    assert copied[:4] == ["neuropretrain", "finetune", "--cohort", str(cohort)]
    # The form lets go of the first run, and is filled in for a second one.
    click(qtbot, runs.buttons.again)
    assert form.form.values()["output"] == second
    form.form.widgets["learning_rate"].value = 2e-4
    click(qtbot, without_estimate(form).start_button)
    wait_for_state(qtbot, runs, second, "queued")
    assert "Queued behind finetune in 'age'" in form.panel.state.text()
    assert runs.tree._items[first].text(1) == "running"
    runs.tree.select(first)
    click(qtbot, runs.buttons.keep_best)
    wait_for_state(qtbot, runs, first, "finished")
    wait_for_state(qtbot, runs, second, "running")
    runs.tree.select(second)
    wait_for_epochs(qtbot, runs.details.curves, 1)
    click(qtbot, runs.buttons.cancel)
    wait_for_state(qtbot, runs, second, "stopped")
    psutil.wait_procs(psutil.Process().children(), timeout=10)


@pytest.mark.gl
def test_a_division_is_made_from_the_cohort_panel(
    no_gl: None,
    make_napari_viewer: Any,
    npe2pm: Any,
    qtbot: Any,
    click_menu: Any,
    cohort: Path,
    tmp_path: Path,
) -> None:
    npe2pm.register(PluginManifest.from_distribution("napari-neuropretrain"))
    change_settings(project_folder=tmp_path / "project")
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 900)
    click_menu(viewer, "Layers", "Classify", "NeuroPretrain", "Cohort")
    (panel,) = viewer.window.dock_widgets.values()
    panel.open(cohort)
    qtbot.waitUntil(lambda: panel.cohort is not None, timeout=PATIENCE_MS)
    panel.panel.label.setCurrentText("sex")
    click(qtbot, panel.panel.buttons.new_split)
    job = viewer.window.dock_widgets["Make a split"]
    with qtbot.waitSignal(job.ended, timeout=PATIENCE_MS) as ended:
        click(qtbot, job.start_button)
    assert ended.args[0].state == "finished", ended.args[0].sentence
    column = panel.model.columns.index(PART)
    parts = [panel.model.index(row, column).data() for row in range(16)]
    assert set(parts) == {"train", "validation", "test"}
    qtbot.waitUntil(
        lambda: not (panel.loader.busy() or panel.pictures.busy()), timeout=PATIENCE_MS
    )
