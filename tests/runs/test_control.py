"""Pause, resume and end runs that somebody else started."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from napari_neuropretrain.cli.main import main
from napari_neuropretrain.config.jobs import SplitConfig
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.runs import control
from napari_neuropretrain.runs.child_run import ChildRun
from napari_neuropretrain.runs.process import start
from napari_neuropretrain.runs.record import read_run


@pytest.fixture
def counting(run):
    """A job that counts in a thread, and its run folder."""

    def work() -> None:
        try:
            run("count")
        except Cancelled:
            return

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(lambda: run.folder.exists() and state(run.folder) == "running")
    yield run.folder
    (run.folder / "pause").unlink(missing_ok=True)
    worker.join(20)


def state(folder: Path) -> str:
    try:
        return read_run(folder).state
    except ConfigError:
        return ""


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_terminal_pauses_and_resumes(counting: Path, capsys) -> None:
    assert main(["runs", "pause", str(counting)]) == 0
    wait_for(lambda: state(counting) == "paused")
    assert main(["runs", "list", str(counting.parent)]) == 0
    assert "toy         paused" in capsys.readouterr().out
    assert main(["runs", "resume", str(counting)]) == 0
    wait_for(lambda: state(counting) == "running")
    assert main(["runs", "stop", str(counting)]) == 2
    assert "no best weights" in capsys.readouterr().err
    assert main(["runs", "delete", str(counting)]) == 2
    assert "Cancel it first" in capsys.readouterr().err


def test_cancel_ends_a_deaf_job_of_another_window(tmp_path: Path, fake_job) -> None:
    config = SplitConfig(cohort=tmp_path, output=tmp_path / "run")
    child = start("split", config, fake_job("deaf"))
    wait_for(lambda: state(config.output) == "running")
    sentence = control.cancel_run(config.output, grace_s=0.2)
    assert sentence.startswith("Stopped at once")
    wait_for(lambda: not child.alive())
    with pytest.raises(ConfigError, match="does not go on"):
        control.pause_run(config.output)


def test_a_lost_run_is_started_again_where_it_is_now(
    run, tmp_path: Path, monkeypatch
) -> None:
    settings = {"cohort": Path("people"), "output": Path("old"), "overwrite": True}
    config = FinetuneConfig(**settings)
    moved = tmp_path / "moved"
    config.to_file(moved / "config.yaml")
    values = {"job": "finetune", "pid": 4194305, "cwd": str(tmp_path)}
    event = {"time": 5, "state": "started", "values": values}
    (moved / "events.jsonl").write_text(json.dumps(event) + "\n")
    given = {}

    def begin(job, config, queued):
        given.update(job=job, config=config, queued=queued)
        return ChildRun(moved, None)

    monkeypatch.setattr(control, "start", begin)
    control.resume_run(moved)
    assert (given["job"], given["queued"]) == ("finetune", True)
    assert given["config"].cohort == tmp_path / "people"
    assert given["config"].output == moved
    assert not given["config"].overwrite


def test_a_finished_run_is_not_started_again(run) -> None:
    run("good")
    with pytest.raises(ConfigError, match="is finished"):
        control.resume_run(run.folder)
