"""Child processes: two at a time, a lost parent, and reasons."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from napari_neuropretrain.benchmark.launching import _await_previous, launch, order_of
from napari_neuropretrain.benchmark.steps import (
    Unit,
    changed,
    failures_of,
    refuse_changes,
    to_do,
)
from napari_neuropretrain.benchmark.workers import run_units, work, worker_problem
from napari_neuropretrain.config.benchmarking import BenchmarkConfig
from napari_neuropretrain.config.evaluation import SplitConfig
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.split_files import write_splits
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.progress import silent
from napari_neuropretrain.runs import EXIT_FAILED, EXIT_STOPPED


def split_of(cohort: Path, output: Path, folds: int = 0) -> Unit:
    """Return the smallest of the jobs that a benchmark runs."""
    values = {"cohort": cohort, "output": output, "folds": folds}
    config = SplitConfig.parse(values | {"find_repeats": False})
    return Unit(output.name, (config,))


def test_two_worker_processes(cohorts: dict[str, Path], tmp_path: Path) -> None:
    """Two succeed, one fails and says why; nothing else is stopped by it."""
    units = [split_of(cohorts["home"], tmp_path / name) for name in ("one", "two")]
    units.append(split_of(cohorts["home"], tmp_path / "three", folds=2))
    config = BenchmarkConfig(plan=tmp_path, output=tmp_path, workers=2)
    codes = {unit.key: code for unit, code in run_units(units, config, silent)}
    assert codes == {"one": 0, "two": 0, "three": EXIT_FAILED}
    assert [unit.missing() == () for unit in units] == [True, True, False]
    ((item, reason),) = failures_of(units[2], codes["three"])
    assert item == "three (split)"
    assert "folds: 2 are too few" in reason
    started = [tmp_path / name / "events.jsonl" for name in ("one", "two", "three")]
    pids = {
        json.loads(path.read_text().splitlines()[0])["values"]["pid"]
        for path in started
    }
    assert len(pids) == 3


def test_a_child_leaves_with_its_parent(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "napari_neuropretrain.benchmark.child"],
        stdin=subprocess.PIPE,
    )
    assert child.stdin is not None
    steps = [["split", {"cohort": str(tmp_path), "output": str(tmp_path / "out")}]]
    child.stdin.write(json.dumps(steps).encode() + b"\n")
    child.stdin.close()
    assert child.wait(60) == EXIT_STOPPED


def test_what_has_changed_is_begun_anew(tmp_path: Path) -> None:
    values = {"cohort": tmp_path, "output": tmp_path / "cell", "epochs": 3}
    values |= {"splits": tmp_path / "splits.tsv"}
    config = FinetuneConfig.parse(values)
    unit = Unit("cell", (config,))
    assert to_do([unit]) == [unit]
    config.to_file(tmp_path / "cell" / "config.yaml")
    for folder in (tmp_path, tmp_path / "cell"):
        write_splits(folder / "splits.tsv", {"sub-1": "train", "sub-2_ses-1": "test"})
    card = tmp_path / "cell" / "model.json"
    card.touch()
    assert to_do([unit]) == []
    # Not what only says where and how fast, but what decides on the result.
    elsewhere = Unit("cell", (config.replace(threads=1, device="cuda:1"),))
    assert to_do([elsewhere]) == []
    other = Unit("cell", (config.replace(epochs=4),))
    with pytest.raises(ConfigError, match=r"cell: epochs was 3, now 4"):
        refuse_changes([other])
    assert card.exists()
    (found,) = to_do([other])
    assert getattr(found.configs[0], "overwrite") is True  # noqa: B009
    assert not card.exists()
    # One that was interrupted counts, too, and one that never began does not.
    assert to_do([other]) == [other]
    (tmp_path / "cell" / "checkpoints").mkdir()
    (tmp_path / "cell" / "checkpoints" / "state.pt").touch()
    assert changed(other.configs[0]) == ["epochs was 3, now 4"]
    write_splits(tmp_path / "splits.tsv", {"sub-1": "train", "sub-2_ses-1": "train"})
    assert changed(config) == ["participants were in other parts"]


def test_a_process_that_was_left_behind_is_waited_for(tmp_path: Path) -> None:
    left = subprocess.Popen(
        [sys.executable, "-m", "napari_neuropretrain.benchmark.child"],
        stdin=subprocess.PIPE,
    )
    started = {"state": "started", "values": {"pid": left.pid}}
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "events.jsonl").write_text(json.dumps(started) + "\n")
    threading.Timer(1.0, left.kill).start()
    _await_previous(tmp_path / "one")
    assert not psutil.pid_exists(left.pid)
    left.wait()
    assert left.stdin is not None
    left.stdin.close()
    _await_previous(tmp_path / "one")


def test_nothing_starts_once_a_stop_is_asked_for(
    cohorts: dict[str, Path], tmp_path: Path
) -> None:
    unit = split_of(cohorts["home"], tmp_path / "one")
    (tmp_path / "stop").touch()
    assert launch(order_of(unit, tmp_path)) == EXIT_STOPPED
    assert not (tmp_path / "one").exists()


def test_a_worker_must_see_the_folder(tmp_path: Path) -> None:
    assert "has version" in worker_problem(tmp_path, "0.0")
    from napari_neuropretrain import __version__

    assert "does not see" in worker_problem(tmp_path / "absent", __version__)
    assert worker_problem(tmp_path, __version__) == ""


def test_workers_take_devices_in_turn(
    cohorts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distributed

    from napari_neuropretrain.benchmark import workers

    taken = []

    class Worker:
        name = 3

    monkeypatch.setattr(distributed, "get_worker", Worker)
    monkeypatch.setattr(
        workers, "launch", lambda order, device: taken.append(device) or 0
    )
    order = order_of(split_of(cohorts["home"], tmp_path / "one"), tmp_path)
    assert work(order, ("cuda:0", "cuda:1")) == 0
    assert work(order, ()) == 0
    assert taken == ["cuda:1", ""]
