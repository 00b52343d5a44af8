from __future__ import annotations

import time

import psutil
import pytest

from napari_neuropretrain import runs
from napari_neuropretrain.config.jobs import PredictConfig
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.runs.follow import Follower
from napari_neuropretrain.gui.runs.process import attach, is_running, start
from napari_neuropretrain.gui.runs.run_queue import RunQueue


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


def test_one_run_per_device_the_others_wait(config, fake_job):
    queue = RunQueue()
    first = queue.draw("cuda:0", "Fine-tune")
    other = queue.draw("cuda:1", "Explain")
    assert queue.blocker(other) is None
    ticket = queue.draw("auto", "Predict")
    follower = Follower(
        lambda: start("predict", config, fake_job("finish")), ticket, queue
    )
    updates = follower.updates()
    assert next(updates).state == "Queued behind Fine-tune"
    queue.give_back(first)
    assert next(updates).state == "Queued behind Explain"
    queue.give_back(other)
    states = [update.state for update in updates]
    assert states[0] == "Starting"
    assert states[-1] == "Ending"
    assert queue.blocker(queue.draw("cpu", "Next")) is None


def test_cancel_takes_a_waiting_run_out_of_the_queue(config):
    queue = RunQueue()
    queue.draw("cpu", "Fine-tune")
    follower = Follower(lambda: pytest.fail("started"), queue.draw("cpu", "x"), queue)
    updates = follower.updates()
    next(updates)
    follower.cancel()
    with pytest.raises(StopIteration) as stop:
        next(updates)
    assert stop.value.value.sentence == "Taken out of the queue."
