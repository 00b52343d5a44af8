"""Fine-tuning: options, initial weights, the estimate, and what cannot be started."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from napari_neuropretrain.config.estimate import Estimate, EstimateConfig
from napari_neuropretrain.config.pulled import cached_file, record_path
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.gui.forms.choice_field import Explanation
from napari_neuropretrain.gui.forms.weights_text import describe_weights
from napari_neuropretrain.gui.jobs import estimate_panel
from napari_neuropretrain.gui.jobs.estimate_panel import EstimatePanel
from napari_neuropretrain.gui.jobs.estimate_process import EstimateProcess
from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget

FAKE = """
import json, os, subprocess, sys, time
from pathlib import Path
import yaml
settings = yaml.safe_load(Path(sys.argv[3]).read_text())
known = {"parameters": 1463000, "trainable": 769}
here = Path(__file__).parent
print(json.dumps(known), flush=True)
if settings["task"] == "sex":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (here / "grandchild").write_text(str(child.pid))
    time.sleep(60)
if settings["task"] == "pd":
    sys.exit("broken")
if settings["task"] == "ad":
    known |= {"problem": "tuning: no such stage.", "done": True}
    print(json.dumps(known), flush=True)
    sys.exit(1)
known |= {"device": "cpu", "epoch_s": [20, 30], "memory_mib": 3072, "free_mib": 2048}
known |= {"total_mib": 4096, "scans": {"train": 92, "validation": 21, "test": 28}}
print(json.dumps(known | {"done": True, "epochs": 1}), flush=True)
"""


@pytest.fixture
def fake_estimate(tmp_path: Path) -> list[str]:
    script = tmp_path / "fake_estimate.py"
    script.write_text(textwrap.dedent(FAKE))
    return [sys.executable, str(script)]


@pytest.fixture
def widget(
    qtbot: Any,
    tmp_path: Path,
    fake_estimate: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> FinetuneWidget:
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(estimate_panel, "DELAY_MS", 10)
    made = FinetuneWidget(None, estimate_command=fake_estimate)
    qtbot.addWidget(made)
    for name in ("cohort", "output"):
        made.form.widgets[name].line_edit.value = str(tmp_path)
    return made


def wait(qtbot: Any, widget: FinetuneWidget) -> Estimate:
    qtbot.waitUntil(lambda: widget.estimate.found.done, timeout=20_000)
    return widget.estimate.found


def test_options_of_the_chosen_entry_can_be_edited(widget: FinetuneWidget) -> None:
    form = widget.form
    form.widgets["tuning"].value = "lora"
    choice = form.choices["tuning"]
    assert choice.title.text().startswith("Train the head and a low-rank")
    assert choice.form is not None
    choice.options_button.setChecked(True)
    choice.form.widgets["rank"].value = 4
    choice.form.widgets["modules"].value = "attn, mlp"
    assert choice.value() == {"name": "lora", "rank": 4, "modules": ["attn", "mlp"]}
    backbone = form.choices["backbone"].form
    assert backbone is not None
    backbone.widgets["block_config"].value = "2,2"
    config = form.config()
    assert isinstance(config, FinetuneConfig)
    assert config.tuning.options.modules == ("attn", "mlp")
    assert config.backbone.options.block_config == (2, 2)
    form.widgets["backbone"].value = "nit"
    assert form.config().backbone.options.patch == 8
    form.fill(config)
    assert form.config() == config


def test_a_wrong_option_is_said(widget: FinetuneWidget) -> None:
    widget.form.widgets["backbone"].value = "nit"
    nested = widget.form.choices["backbone"].form
    assert nested is not None
    nested.widgets["shape"].value = "81"
    assert "multiple of 8" in widget.problem.text()
    assert not widget.start_button.isEnabled()


def test_the_estimate_appears_and_follows_the_epochs(
    qtbot: Any, widget: FinetuneWidget
) -> None:
    found = wait(qtbot, widget)
    text = widget.estimate.facts.text()
    assert text == (
        "1.46 M parameters, 769 trained · about 25 s an epoch (20 s to 30 s), at most "
        "12 min in all · about 3.0 of 4.0 GiB memory · 92 train / 21 validation / 28 "
        "test"
    )
    assert found.epochs == 30
    # Too large is a warning, no reason not to start.
    assert "lower batch_size" in widget.estimate.warning.text()
    assert widget.start_button.isEnabled()
    widget.form.widgets["epochs"].value = 60
    assert "at most 25 min in all" in widget.estimate.facts.text()
    assert not widget.estimate.busy()


def test_a_run_has_the_room_of_the_estimate(qtbot: Any, widget: FinetuneWidget) -> None:
    widget._set_running(True)
    assert widget.estimate.isHidden()
    assert not widget.estimate.busy()
    widget._set_running(False)
    assert widget.estimate.isHidden()
    widget.form.widgets["batch_size"].value = 2
    assert not widget.estimate.isHidden()
    wait(qtbot, widget)


def test_what_the_estimate_refuses_cannot_start(
    qtbot: Any, widget: FinetuneWidget
) -> None:
    widget.form.widgets["task"].value = "ad"
    wait(qtbot, widget)
    assert widget.problem.text() == "tuning: no such stage."
    assert not widget.start_button.isEnabled()
    widget.form.widgets["task"].value = "brain_age"
    wait(qtbot, widget)
    assert widget.problem.text() == ""
    assert widget.start_button.isEnabled()


def test_a_change_ends_the_running_estimate_and_its_children(
    qtbot: Any, widget: FinetuneWidget, tmp_path: Path
) -> None:
    widget.form.widgets["task"].value = "sex"
    mark = tmp_path / "grandchild"
    qtbot.waitUntil(lambda: mark.exists() and bool(mark.read_text()), timeout=20_000)
    qtbot.waitUntil(lambda: widget.estimate.found.trainable == 769, timeout=20_000)
    assert widget.estimate.busy()
    assert widget.start_button.isEnabled()
    widget.form.widgets["task"].value = "brain_age"
    process = int(mark.read_text())
    gone = [not psutil.pid_exists(process)]
    gone += [psutil.Process(process).status() == "zombie"] if not gone[0] else []
    assert any(gone)
    assert wait(qtbot, widget).problem == ""


def test_an_estimate_that_breaks_says_so(fake_estimate: list[str], qtbot: Any) -> None:
    process = EstimateProcess(EstimateConfig(task="pd"), fake_estimate)
    try:
        qtbot.waitUntil(lambda: process.poll()[1], timeout=20_000)
        found, _ = process.poll()
    finally:
        process.end()
    assert found is not None
    assert found.problem == "broken"
    assert found.parameters == 1463000


def test_an_explanation_is_as_high_as_its_words(qtbot: Any) -> None:
    label = Explanation()
    qtbot.addWidget(label)
    label.resize(120, 20)
    label.setText("a few words " * 20)
    high = label.minimumHeight()
    label.setText("a few words")
    assert 0 < label.minimumHeight() < high / 5


def test_nothing_is_asked_without_settings(qtbot: Any) -> None:
    panel = EstimatePanel()
    qtbot.addWidget(panel)
    panel.request(None)
    assert not panel.busy()
    assert panel.facts.text() == ""


def test_weights_are_offered_and_explained(widget: FinetuneWidget) -> None:
    field = widget.weights
    widget.form.widgets["backbone"].value = "swin_t"
    names = [field.box.itemText(row) for row in range(field.box.count())]
    assert names[0] == "from scratch"
    assert names[1].startswith("kinetics_swin_t: Swin-T of torchvision")
    assert names[1].endswith("(BSD-3-Clause; not pulled)")
    assert names[-1].endswith("for vit_b16)")
    assert widget.estimate.facts.text() == "27.8 M parameters, all trained"
    field.box.activated.emit(1)
    assert not widget.estimate.busy()
    assert widget.form.values()["initial_weights"] == "kinetics_swin_t"
    assert field.box.currentText() == "kinetics_swin_t"
    assert "Licence: BSD-3-Clause" in field.explanation.text()
    assert "Unlike our volumes: videos, not brains." in field.explanation.text()
    assert "neuropretrain weights pull kinetics_swin_t" in widget.problem.text()
    assert not widget.start_button.isEnabled()
    known = KNOWN_WEIGHTS["kinetics_swin_t"]
    cached_file(known).parent.mkdir(parents=True)
    cached_file(known).write_bytes(b"weights")
    record_path(known).write_text("{}")
    widget.form.changed.emit()
    assert widget.problem.text() == ""
    widget.form.widgets["backbone"].value = "sfcn"
    assert "belong to the backbone 'swin_t', not to 'sfcn'" in widget.problem.text()
    field.box.setEditText("nowhere")
    assert "there is nothing at 'nowhere'" in widget.problem.text()
    field.box.activated.emit(0)
    assert widget.form.values()["initial_weights"] == ""
    assert field.explanation.text() == "From scratch: random weights."


def test_files_are_described_by_their_card(tmp_path: Path) -> None:
    encoder = tmp_path / "encoder.safetensors"
    encoder.write_bytes(b"")
    assert "is a checkpoint of others" in describe_weights(str(encoder), "nit").problem
    card: dict[str, Any] = {"title": "Ours", "backbone": {"name": "nit"}}
    card |= {"licence": "MIT", "preprocessing": "T1 at 2 mm."}
    encoder.with_suffix(".json").write_text(json.dumps(card))
    note = describe_weights(str(encoder), "nit")
    assert note.text == "Ours, backbone nit. Licence: MIT. Meant for: T1 at 2 mm."
    assert note.problem == ""
    assert "holds no model" in describe_weights(str(tmp_path), "nit").problem
    (tmp_path / "model.safetensors").write_bytes(b"")
    card = {"task": {"name": "sex"}, "backbone": {"name": "nit"}}
    (tmp_path / "model.json").write_text(json.dumps(card))
    note = describe_weights(str(tmp_path), "nit")
    assert note.text == "Model for sex, backbone nit. Licence: not stated."
