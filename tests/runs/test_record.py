"""What is known of a run, from its folder alone; and all runs of a project."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs import request_stop
from napari_neuropretrain.runs.project import TRASH, Project, delete_run, find_runs
from napari_neuropretrain.runs.record import RunReader, read_run
from napari_neuropretrain.runs.remedies import remedies

GONE = 2**22 + 1
"""No process has such a number."""


def write(folder: Path, *events: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.jsonl").open("a") as file:
        for event in events:
            file.write(json.dumps({"time": time.time(), **event}) + "\n")
    return folder


def started(alive: bool = True, job: str = "finetune", **more: Any) -> dict[str, Any]:
    values = {"job": job, "pid": os.getpid() if alive else GONE, "device": "cpu"}
    values |= {"created": psutil.Process().create_time(), "host": platform.node()}
    return {"state": "started", "values": values | more}


def epoch(number: int, loss: float) -> dict[str, Any]:
    values = {"epoch": number, "loss": loss}
    return {"state": "epoch", "step": number, "total": 4, "values": values}


def test_the_states_of_a_live_run(tmp_path: Path) -> None:
    reader = RunReader(write(tmp_path, started()))
    assert reader.look().state == "running"
    assert reader.look() is reader.look()
    write(tmp_path, {"state": "queued", "message": "Queued behind predict in 'a'."})
    assert reader.look().state == "queued"
    assert reader.look().stage == "Queued behind predict in 'a'"
    write(tmp_path, {"state": "running"}, epoch(1, 0.5), {"state": "paused"})
    beat = {"rss_mib": 512, "rss_peak_mib": 1024, "waits": "paused"}
    write(tmp_path, {"state": "heartbeat", "values": beat})
    record = reader.look()
    assert record.state == "paused"
    assert record.can_keep_best
    assert record.fraction == 0.25
    assert record.say_memory() == "0.5 GiB now, 1.0 GiB at most"
    assert record.curves.groups["Loss"]["loss"].values == [0.5]
    write(tmp_path, {"state": "running"})
    request_stop(tmp_path)
    assert reader.look().state == "stopping"
    write(tmp_path, {"state": "finished", "message": "Did it.", "values": {}})
    record = reader.look()
    assert (record.state, record.sentence, record.live) == (
        "finished",
        "Did it.",
        False,
    )
    # What was handed out before does not change.
    write(tmp_path, started(), epoch(1, 0.9), epoch(2, 0.4))
    assert record.curves.groups["Loss"]["loss"].values == [0.5]
    assert reader.look().curves.groups["Loss"]["loss"].values == [0.9, 0.4]


def test_curves_go_on_where_a_training_does(tmp_path: Path) -> None:
    best = epoch(2, 0.5)
    best["values"] |= {"best": True, "probe_age_mae": 9.0}
    write(tmp_path, started(), epoch(1, 0.9), best, epoch(3, 0.6))
    reader = RunReader(tmp_path)
    reader.look()
    write(tmp_path, {"state": "stopped", "message": "Stopped."}, started())
    curves = reader.look().curves
    assert curves.groups["Loss"]["loss"].epochs == [1, 2, 3]
    write(tmp_path, epoch(3, 0.4))
    curves = reader.look().curves
    assert curves.groups["Loss"]["loss"].values == [0.9, 0.5, 0.4]
    assert curves.best == 2
    # One that begins anew leaves nothing of the one before.
    write(tmp_path, started(), epoch(1, 0.8))
    curves = reader.look().curves
    assert list(curves.groups) == ["Loss"]
    assert curves.groups["Loss"]["loss"].values == [0.8]
    assert curves.best is None
    # Nor does another job.
    write(tmp_path, started(job="predict"))
    assert reader.look().curves.groups == {}


def test_a_run_whose_process_is_gone_is_lost_and_the_memory_is_blamed(
    tmp_path: Path,
) -> None:
    beat = {"rss_peak_mib": 3072, "free_mib": 102, "total_mib": 4096}
    write(tmp_path, started(alive=False), {"state": "heartbeat", "values": beat})
    record = read_run(tmp_path)
    assert (record.state, record.cause) == ("lost", "memory")
    assert (
        "3.0 GiB at its peak, and 0.1 GiB of the machine were free" in record.sentence
    )
    write(tmp_path, started(alive=False))
    assert read_run(tmp_path).cause == "killed"


def test_a_run_of_another_machine_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    write(tmp_path, started(alive=False, host="elsewhere"))
    assert read_run(tmp_path).state == "running"
    old = started(alive=False, host="elsewhere") | {"time": time.time() - 600}
    write(tmp_path / "old", old)
    assert read_run(tmp_path / "old").state == "lost"


def test_the_runs_of_a_project_with_their_parts(tmp_path: Path) -> None:
    done = {"state": "finished", "message": "", "values": {}}
    write(tmp_path / "demo", started(job="demo"))
    write(tmp_path / "demo" / "finetune", started(), done)
    write(tmp_path / "other" / "deep", started(alive=False))
    write(tmp_path / "cohort" / "sub-01", started())
    write(tmp_path / ".hidden", started())
    listed = Project(tmp_path).look()
    found = {str(one.record.folder.relative_to(tmp_path)): one for one in listed}
    assert set(found) == {"demo", "demo/finetune", "other/deep"}
    assert found["demo/finetune"].parent == tmp_path / "demo"
    assert found["other/deep"].parent is None
    assert list(found)[-1] == "demo" or found["demo"].record.began > 0


def test_deleting_moves_to_the_trash_but_never_a_live_run(tmp_path: Path) -> None:
    write(tmp_path / "live", started())
    write(tmp_path / "old", started(alive=False))
    (tmp_path / "old" / "model").write_text("x")
    with pytest.raises(ConfigError, match="A run goes on in"):
        delete_run(tmp_path / "live", tmp_path)
    with pytest.raises(ConfigError, match="No run is recorded"):
        delete_run(tmp_path, tmp_path)
    place = delete_run(tmp_path / "old", tmp_path)
    assert (place / "model").read_text() == "x"
    assert place.parent == tmp_path / TRASH
    assert [path.name for path in find_runs(tmp_path)] == ["live"]
    write(tmp_path / "old", started(alive=False))
    assert delete_run(tmp_path / "old", tmp_path) != place
    write(tmp_path, started(alive=False))
    (tmp_path / "live" / "events.jsonl").unlink()
    with pytest.raises(ConfigError, match="is the project folder itself"):
        delete_run(tmp_path, tmp_path)


def test_remedies_fit_the_job(tmp_path: Path) -> None:
    from napari_neuropretrain.config.jobs import PreprocessConfig
    from napari_neuropretrain.config.trainings import FinetuneConfig

    config = FinetuneConfig(cohort=tmp_path, output=tmp_path, batch_size=2)
    titles = [one.title for one in remedies(config, "memory")]
    assert titles == ["Retry with checkpointing"]
    checked = config.replace(checkpointing=True)
    assert remedies(checked, "memory") == []
    (cpu,) = remedies(checked, "memory", on_gpu=True)
    assert cpu.config.device == "cpu"
    assert remedies(config, "bug") == []
    # A training has tried half the batch by itself before it gave up.
    large = config.replace(batch_size=8)
    titles = [one.title for one in remedies(large, "memory", tried=(2, 4))]
    assert titles == ["Retry with checkpointing"]
    assert remedies(large, "memory", tried=(2, 4))[0].config.batch_size == 2
    # Nor does a second try throw away the checkpoints of the first.
    again = config.replace(overwrite=True)
    for cause in ("killed", "memory"):
        assert remedies(again, cause)[0].config.overwrite is False
    scans = PreprocessConfig(input=tmp_path, output=tmp_path, workers=4)
    (fewer,) = remedies(scans, "memory")
    assert fewer.config.workers == 2
