from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from napari_neuropretrain import runs
from napari_neuropretrain.config.jobs import JOBS, PredictConfig
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs import process
from napari_neuropretrain.runs.folder import read_events
from napari_neuropretrain.runs.process import (
    NICENESS,
    attach,
    check_free,
    is_running,
    start,
)


@pytest.fixture
def config(tmp_path):
    return PredictConfig(model=tmp_path, input=tmp_path, output=tmp_path / "run")


def drain(run):
    events = []
    deadline = time.monotonic() + 20
    while run.alive() and time.monotonic() < deadline:
        events += run.poll()
        time.sleep(0.02)
    assert not run.alive()
    return [*events, *run.poll()]


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_finished_run_says_what_it_did(config, fake_job):
    run = start("predict", config, fake_job("finish"))
    states = [event["state"] for event in drain(run)]
    assert states == ["started", "step", "step", "step", "result", "finished"]
    ending = run.ending()
    assert (ending.state, ending.sentence) == ("finished", "Counted to 3.")
    written = PredictConfig.from_file(config.output / "request.yaml")
    assert written == config


def test_a_second_run_in_the_folder_does_not_repeat_the_first(config, fake_job):
    drain(start("predict", config, fake_job("finish")))
    states = [e["state"] for e in drain(start("predict", config, fake_job("fail")))]
    assert states == ["started", "failed"]
    again = attach(config.output)
    assert [event["state"] for event in again.poll()] == ["started", "failed"]
    assert again.ending().sentence == "The scan 'a.nii' is broken."


def test_a_crash_is_explained_with_the_last_lines(config, fake_job):
    run = start("predict", config, fake_job("crash"))
    assert drain(run) == []
    ending = run.ending()
    assert ending.state == "lost"
    assert "exit code 5" in ending.sentence
    assert "hello from the child" in ending.sentence


def test_cancel_lets_the_job_leave(config, fake_job):
    run = start("predict", config, fake_job("count"))
    wait_for(run.poll)
    run.cancel()
    drain(run)
    assert run.ending().state == "stopped"
    assert not (config.output / runs.STOP).exists()


def test_after_the_grace_period_the_whole_tree_is_killed(config, fake_job):
    run = start("predict", config, fake_job("deaf"))
    note = config.output / "grandchild"
    wait_for(lambda: note.exists() and note.read_text())
    grandchild = psutil.Process(int(note.read_text()))
    run.cancel(grace_s=0.1)
    drain(run)
    assert run.ending().state == "stopped"
    gone = not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
    assert gone


def test_a_run_that_goes_on_is_found_again(config, fake_job):
    run = start("predict", config, fake_job("count"))
    wait_for(run.poll)
    assert is_running(config.output)
    again = attach(config.output)
    assert again.alive()
    assert again.poll()[0]["state"] == "started"
    again.cancel()
    drain(run)
    drain(again)
    assert again.ending().state == "stopped"
    assert not is_running(config.output)


def test_missing_input_is_refused_before_anything_starts(config, tmp_path):
    missing = config.replace(input=tmp_path / "nothing.nii")
    with pytest.raises(ConfigError, match="input: nothing at"):
        start("predict", missing)
    assert not config.output.exists()
    with pytest.raises(ConfigError, match="No run is recorded"):
        attach(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="priorities have other names")
def test_a_job_lets_the_viewer_go_first(config, fake_job):
    run = start("predict", config, fake_job("count"))
    wait_for(run.poll)
    process = run._process
    assert process.nice() >= NICENESS
    group = Path(f"/proc/{process.pid}/autogroup")
    if group.exists():
        assert group.read_text().split()[-1] == str(NICENESS)
    run.cancel()
    drain(run)


def test_a_folder_in_use_is_refused_to_others(config, fake_job):
    run = start("predict", config, fake_job("count"))
    wait_for(lambda: is_running(config.output))
    number = read_events(config.output)[0][0]["values"]["pid"]
    for begin in (start, lambda job, its: runs.execute(JOBS, job, its)):
        with pytest.raises(ConfigError, match=rf"going on in .*process {number}\)"):
            begin("predict", config)
    run.kill()
    drain(run)
    assert not is_running(config.output)
    states = [e["state"] for e in drain(start("predict", config, fake_job("finish")))]
    assert states[-1] == "finished"


def test_a_run_of_another_machine_holds_its_folder_while_it_is_heard(config):
    config.output.mkdir()
    event = {"state": "started", "values": {"pid": 7, "host": "elsewhere"}}
    for heard, free in ((time.time(), False), (time.time() - 3600, True)):
        line = json.dumps(event | {"time": heard}) + "\n"
        (config.output / "events.jsonl").write_text(line)
        assert is_running(config.output) is not free
        if not free:
            with pytest.raises(ConfigError, match="process 7 of elsewhere"):
                check_free(config.output)
    check_free(config.output)


def test_a_run_of_another_machine_is_given_time_to_be_heard(config, monkeypatch):
    monkeypatch.setattr(process, "SILENCE_S", 2.0)
    config.output.mkdir()
    file = config.output / "events.jsonl"
    values = {"pid": os.getpid(), "host": "elsewhere"}  # as in two containers

    def say(state):
        with file.open("a") as stream:
            event = {"state": state, "time": time.time(), "values": values}
            stream.write(json.dumps(event) + "\n")

    say("started")
    with pytest.raises(ConfigError, match="of elsewhere"):
        check_free(config.output)
    check_free(config.output, patient=True)  # it has died
    say("started")
    heartbeat = threading.Timer(0.5, say, ("heartbeat",))
    heartbeat.start()
    with pytest.raises(ConfigError, match="of elsewhere"):
        check_free(config.output, patient=True)
    heartbeat.join()
