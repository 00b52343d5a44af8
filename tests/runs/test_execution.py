import json
import threading
import time
from pathlib import Path

import pytest

from napari_neuropretrain import runs
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.errors import Cancelled, ConfigError, NeuropretrainError
from napari_neuropretrain.runs import folder, recorder
from napari_neuropretrain.runs.process import attach


def events(where: Path) -> list[dict]:
    return [e for e in runs.read_events(where)[0] if e["state"] != "heartbeat"]


def test_a_run_is_recorded(run) -> None:
    assert run("good").message == "Did it."
    found = events(run.folder)
    assert [event["state"] for event in found] == ["started", "step", "finished"]
    assert found[0]["values"]["job"] == "toy"
    assert found[1]["values"] == {"loss": 0.5}
    assert found[-1]["values"]["exit_code"] == 0
    assert [progress.state for progress in run.heard] == [e["state"] for e in found]
    written = run.config.from_file(run.folder / "config.yaml")
    assert written.mode == "good"
    assert "napari-neuropretrain 0." in (run.folder / "config.yaml").read_text()
    assert "working" in (run.folder / "run.log").read_text()


def test_a_partial_failure_is_in_the_last_event(run) -> None:
    run("part")
    last = events(run.folder)[-1]
    assert last["values"]["failures"] == [["sub-02", "truncated"]]
    assert last["values"]["exit_code"] == 1


def test_the_stop_file_stops_a_run_and_the_next_one_starts(run) -> None:
    with pytest.raises(Cancelled):
        run("stop")
    assert events(run.folder)[-1]["state"] == "stopped"
    assert run("good").message == "Did it."


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("explained", r"No brain in 'x'"),
        ("bug", r"Unexpected KeyError: 'oops'.*please report"),
        ("memory", r"Out of memory: CUDA.*Lower batch_size"),
    ],
)
def test_a_failure_becomes_a_sentence(run, mode: str, message: str) -> None:
    with pytest.raises(NeuropretrainError, match=message):
        run(mode)
    last = events(run.folder)[-1]
    assert last["state"] == "failed"
    assert last["message"]
    if mode == "bug":
        assert "KeyError" in (run.folder / "run.log").read_text()


def test_an_input_that_is_not_there(run, tmp_path: Path) -> None:
    config = run.config(input=tmp_path / "no", output=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"input: nothing at '.*no'"):
        runs.check_inputs(config)


def test_an_output_that_cannot_be_written(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    jobs = Registry("job")
    jobs.register("toy", "A toy", run.config, "unused:unused")
    config = run.config(input=tmp_path, output=tmp_path / "file" / "run")
    with pytest.raises(ConfigError, match="cannot write to"):
        runs.execute(jobs, "toy", config)


def test_events_are_read_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / runs.EVENTS
    path.write_text(json.dumps({"state": "step"}) + '\n{"state": "ep')
    first, offset = runs.read_events(tmp_path)
    assert first == [{"state": "step"}]
    with path.open("a") as file:
        file.write('och"}\n')
    assert runs.read_events(tmp_path, offset)[0] == [{"state": "epoch"}]


def test_a_line_that_a_power_cut_tore_is_left_out(run) -> None:
    run("good")
    before = len(events(run.folder))
    with (run.folder / runs.EVENTS).open("a") as file:
        file.write('{"time": 1, "state": "st')
    run("good")
    found = events(run.folder)
    assert len(found) == 2 * before
    assert [one["state"] for one in found].count("started") == 2
    again = attach(run.folder)
    assert again.poll()[0]["state"] == "started"
    assert again.ending().state == "finished"


def test_exit_codes_become_sentences() -> None:
    assert "memory ran out" in runs.explain_exit(-9)
    assert "77" in runs.explain_exit(77)


def test_a_paused_run_rests_and_goes_on(run, monkeypatch) -> None:
    monkeypatch.setattr(recorder, "HEARTBEAT_S", 0.05)
    worker = threading.Thread(target=run, args=("count",))
    worker.start()
    wait_for(lambda: "step" in states(run.folder))
    folder.request_pause(run.folder)
    wait_for(lambda: "paused" in states(run.folder))
    seen = states(run.folder).count("step")
    time.sleep(0.4)
    assert states(run.folder).count("step") == seen
    beats = [e for e in runs.read_events(run.folder)[0] if e["state"] == "heartbeat"]
    assert beats[-1]["values"]["waits"] == "paused"
    assert 1 < beats[-1]["values"]["rss_mib"] <= beats[-1]["values"]["rss_peak_mib"]
    folder.end_pause(run.folder)
    worker.join(20)
    assert states(run.folder)[-1] == "finished"
    assert "running" in states(run.folder)


def test_a_paused_run_can_be_stopped(run) -> None:
    ended: list[BaseException] = []

    def work() -> None:
        try:
            run("count")
        except Cancelled as error:
            ended.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(lambda: "step" in states(run.folder))
    folder.request_pause(run.folder)
    wait_for(lambda: "paused" in states(run.folder))
    runs.request_stop(run.folder)
    worker.join(20)
    assert len(ended) == 1
    assert states(run.folder)[-2:] == ["running", "stopped"]
    # The next run must not be asked for what this one was.
    left = {path.name for path in run.folder.iterdir()}
    assert not left & {"stop", "pause", "keep_best"}


def test_the_cause_is_kept_for_a_remedy(run) -> None:
    for mode, cause in (("memory", "memory"), ("bug", "bug")):
        with pytest.raises(NeuropretrainError):
            run(mode)
        assert events(run.folder)[-1]["values"]["cause"] == cause
    with pytest.raises(NeuropretrainError):
        run("explained")
    assert "cause" not in events(run.folder)[-1]["values"]


def states(where: Path) -> list[str]:
    return [event["state"] for event in events(where)]


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
