"""Real trainings in a real viewer: killed, found again, paused, resumed, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from qtpy.QtCore import Qt

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.runs import process
from napari_neuropretrain.runs.process import attach
from napari_neuropretrain.runs.record import read_run

EDGE, PATIENCE_MS = 16, 300_000
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
import lightning, torch, nibabel
from napari_neuropretrain.cli.main import main
from napari_neuropretrain.training import finetune
torch.zeros(8, 8).matmul(torch.zeros(8, 8))
status = open("/proc/self/status").read()
used = int(status.partition("VmSize:")[2].split()[0]) * 1024
limit = used + int(float(sys.argv[1]) * 2**20)
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

    def click(button: Any) -> None:
        qtbot.waitUntil(button.isEnabled, timeout=PATIENCE_MS)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def wait_for(state: str) -> None:
        shown = tree._items[folder]
        qtbot.waitUntil(lambda: shown.text(1) == state, timeout=PATIENCE_MS)

    qtbot.waitUntil(lambda: folder in tree._items, timeout=PATIENCE_MS)
    tree.select(folder)
    wait_for("running")
    curves = widget.details.curves
    epochs = len(curves.plot.lines[0].epochs)
    assert epochs > 0
    qtbot.waitUntil(
        lambda: len(curves.plot.lines[0].epochs) > epochs, timeout=PATIENCE_MS
    )
    click(buttons.pause)
    wait_for("paused")
    click(buttons.pause)
    wait_for("running")
    # The training itself is killed, as a system short of memory would.
    training = attach(folder)._process
    assert training is not None
    training.kill()
    wait_for("lost")
    assert "Its process is gone" in widget.details.words.text()
    assert buttons.pause.text() == "Resume"
    click(buttons.pause)
    wait_for("running")
    qtbot.waitUntil(
        lambda: "Going on " in widget.details.log.toPlainText(), timeout=PATIENCE_MS
    )
    click(buttons.keep_best)
    wait_for("finished")
    assert (folder / "model.safetensors").is_file()
    assert "test" in json.loads((folder / "metrics.json").read_text())
    # Restarted from this process, it is our child: leave no zombie.
    psutil.wait_procs(psutil.Process().children(), timeout=10)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_out_of_memory_is_a_sentence_and_a_button(
    no_gl: None, make_napari_viewer: Any, qtbot: Any, cohort: Path, tmp_path: Path
) -> None:
    from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget

    viewer = make_napari_viewer()
    # The weights alone need 350 MiB.
    limited = [sys.executable, "-c", LIMITED, "300"]
    nothing = [sys.executable, "-c", "pass"]
    widget = FinetuneWidget(viewer, limited, nothing)
    viewer.window.add_dock_widget(widget)
    config = settings(cohort, tmp_path / "run", backbone="vit_b16", batch_size=8)
    widget.form.fill(config)
    widget.estimate.stop()
    widget.estimate.found = widget.estimate.found.replace(problem="")
    widget._check()
    with qtbot.waitSignal(widget.ended, timeout=PATIENCE_MS) as ended:
        widget.start()
    assert ended.args[0].state in ("failed", "lost"), widget.panel.log.toPlainText()
    assert ended.args[0].cause == "memory", widget.panel.state.text()
    assert "ut of memory" in widget.panel.state.text()
    titles = [button.text() for button in widget.panel.remedies.buttons]
    assert titles == ["Retry with half the batch", "Retry with checkpointing"]
