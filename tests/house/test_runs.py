import json
from pathlib import Path

import pytest

from napari_neuropretrain import runs
from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import InputPath, OutputFolder
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.errors import Cancelled, ConfigError, NeuropretrainError
from napari_neuropretrain.progress import Failure, Outcome, Progress


class ToyConfig(Config):
    """A toy."""

    input: InputPath
    """Something there."""
    output: OutputFolder
    """Run folder."""
    mode: str = "good"
    """How it ends."""


def toy(config: ToyConfig, report) -> Outcome:
    report(Progress("step", "working", 1, 2, {"loss": 0.5}))
    if config.mode == "stop":
        runs.request_stop(config.output)
        report(Progress("step", "still working", 2, 2))
    if config.mode == "explained":
        raise NeuropretrainError("No brain in 'x'.")
    if config.mode == "bug":
        raise KeyError("oops")
    if config.mode == "memory":
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    failures = (Failure("sub-02", "truncated"),) if config.mode == "part" else ()
    return Outcome("Did it.", failures, {"table": "t.tsv"})


@pytest.fixture
def run(tmp_path: Path):
    jobs = Registry("job")
    jobs.register("toy", "A toy", ToyConfig, "unused:unused")
    object.__setattr__(jobs["toy"], "target", f"{__name__}:toy")
    import sys
    import types

    module = types.ModuleType(__name__)
    module.toy = toy
    sys.modules.setdefault(__name__, module)
    heard: list[Progress] = []

    def start(mode: str) -> Outcome:
        config = ToyConfig(input=tmp_path, output=tmp_path / "run", mode=mode)
        return runs.execute(jobs, "toy", config, heard.append)

    start.heard = heard
    start.folder = tmp_path / "run"
    return start


def events(folder: Path) -> list[dict]:
    return [e for e in runs.read_events(folder)[0] if e["state"] != "heartbeat"]


def test_a_run_is_recorded(run) -> None:
    assert run("good").message == "Did it."
    found = events(run.folder)
    assert [event["state"] for event in found] == ["started", "step", "finished"]
    assert found[0]["values"]["job"] == "toy"
    assert found[1]["values"] == {"loss": 0.5}
    assert found[-1]["values"]["exit_code"] == 0
    assert [progress.state for progress in run.heard] == [e["state"] for e in found]
    written = ToyConfig.from_file(run.folder / "config.yaml")
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
    config = ToyConfig(input=tmp_path / "no", output=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"input: nothing at '.*no'"):
        runs.check_inputs(config)


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    jobs = Registry("job")
    jobs.register("toy", "A toy", ToyConfig, "unused:unused")
    config = ToyConfig(input=tmp_path, output=tmp_path / "file" / "run")
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


def test_exit_codes_become_sentences() -> None:
    assert "out of memory" in runs.explain_exit(-9)
    assert "77" in runs.explain_exit(77)
