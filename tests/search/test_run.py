"""The whole job: results, early ends, a kill, workers, and the best settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.config.searching import SearchConfig
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import Cancelled, ConfigError, NeuropretrainError
from napari_neuropretrain.progress import Outcome, Progress, silent
from napari_neuropretrain.runs import execute, read_events

SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
SPACE["weight_decay"] = {"low": 0.0, "high": 0.1}


def rate_curve(values: dict[str, Any], epoch: int) -> float:
    """A larger learning rate is better, a little more with each epoch."""
    return 0.5 + 40 * float(values["learning_rate"]) + 0.01 * epoch


def write_space(folder: Path, space: dict[str, Any] | None = None) -> Path:
    (folder / "space.yaml").write_text(yaml.safe_dump(space or SPACE))
    return folder / "space.yaml"


def run(folder: Path, base: Path, listen: Any = silent, **others: Any) -> Outcome:
    values = {"base": base, "output": folder / "out", "space": write_space(folder)}
    config = SearchConfig.parse({**values, **others})
    return execute(JOBS, "search", config, listen)


def study_of(folder: Path) -> optuna.Study:
    path = folder / "out" / "search.db"
    return optuna.load_study(study_name="search", storage=f"sqlite:///{path}")


def test_table_best_settings_figure_and_statement(
    tmp_path: Path, write_base: Any, pretend: Any, rows_of: Any
) -> None:
    stand_in = pretend(rate_curve)
    base = write_base(tmp_path / "base.yaml", ema=0.5)
    outcome = run(tmp_path, base, trials=6)
    rows = rows_of(tmp_path / "out" / "trials.tsv")
    assert [row["trial"] for row in rows] == list("012345")
    assert {row["state"] for row in rows} == {"done"}
    best = max(rows, key=lambda row: float(row["learning_rate"]))
    values = sorted(float(row["roc_auc"]) for row in rows)
    assert float(best["roc_auc"]) == values[-1]
    expected = 0.5 + 40 * float(best["learning_rate"]) + 0.06
    assert float(best["roc_auc"]) == pytest.approx(expected, abs=1e-4)
    config = FinetuneConfig.from_file(tmp_path / "out" / "best.yaml")
    assert config.learning_rate == pytest.approx(float(best["learning_rate"]), 1e-4)
    assert config.ema == 0.5
    assert config.baselines
    assert config.output == tmp_path / "out" / "best"
    summary = json.loads((tmp_path / "out" / "search.json").read_text())
    median = (values[2] + values[3]) / 2
    assert summary["median_value"] == pytest.approx(median, abs=1e-5)
    assert f"better by {values[-1] - median:.3g}" in summary["statement"]
    assert "expect less" in summary["statement"]
    assert "<svg" in (tmp_path / "out" / "figures" / "search.svg").read_text()
    assert (tmp_path / "out" / "figures" / "search.png").stat().st_size > 10_000
    assert "finetune --config" in outcome.message
    # Linear models are not trained again and again.
    assert {one["baselines"] for one in stand_in.settings.values()} == {False}


def test_importance_finds_the_setting_that_matters(
    tmp_path: Path, write_base: Any, pretend: Any
) -> None:
    from napari_neuropretrain.search.figures import importance_of
    from napari_neuropretrain.search.results import find
    from napari_neuropretrain.search.trial import Goal

    pretend(rate_curve)
    run(tmp_path, write_base(tmp_path / "base.yaml", epochs=1), trials=12)
    study = study_of(tmp_path)
    shares = importance_of(study, find(study, Goal("roc_auc", True)))
    assert next(iter(shares)) == "learning_rate"
    assert shares["learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_a_bad_trial_ends_early(
    tmp_path: Path, write_base: Any, pretend: Any, rows_of: Any
) -> None:
    """The first two are good; those below their median at epoch 3 end there."""

    def curve(values: dict[str, Any], epoch: int) -> float:
        number = int(Path(values["output"]).name)
        return (0.9 if number < 2 else 0.4) + 0.001 * epoch

    stand_in = pretend(curve)
    others = {"trials": 4, "pruner": "median", "first_trials": 2, "first_epochs": 3}
    base = write_base(tmp_path / "base.yaml", epochs=9)
    run(tmp_path, base, **others)
    assert list(stand_in.epochs.values()) == [9, 9, 3, 3]
    rows = rows_of(tmp_path / "out" / "trials.tsv")
    assert [row["state"] for row in rows] == [*["done"] * 2, *["ended early"] * 2]
    assert [row["epochs"] for row in rows] == ["9", "9", "3", "3"]
    assert float(rows[3]["roc_auc"]) == pytest.approx(0.403)


def test_a_paused_search_lets_its_training_rest(
    tmp_path: Path, write_base: Any, pretend: Any
) -> None:
    """The pause file is passed on to the trial, and taken away again."""
    pause, seen = tmp_path / "out" / "pause", []

    def curve(values: dict[str, Any], epoch: int) -> float:
        seen.append((Path(values["output"]) / "pause").exists())
        if epoch in (2, 4):
            pause.touch() if epoch == 2 else pause.unlink()
        return 0.5

    pretend(curve)
    run(tmp_path, write_base(tmp_path / "base.yaml"), trials=1)
    assert seen == [False, False, True, True, False, False]


def test_the_loss_can_be_the_goal_and_failures_are_listed(
    tmp_path: Path, write_base: Any, pretend: Any, rows_of: Any
) -> None:
    def curve(values: dict[str, Any], epoch: int) -> float:
        if Path(values["output"]).name == "0001":
            raise NeuropretrainError("The loss became nan in epoch 1.")
        return 0.5

    pretend(curve)
    run(tmp_path, write_base(tmp_path / "base.yaml"), trials=3, objective="loss")
    rows = rows_of(tmp_path / "out" / "trials.tsv")
    assert [row["state"] for row in rows] == ["done", "failed", "done"]
    assert rows[1]["reason"] == "The loss became nan in epoch 1."
    assert float(rows[0]["validation_loss"]) == pytest.approx(1 / 6, rel=1e-4)


def test_without_one_finished_trial_it_says_why(
    tmp_path: Path, write_base: Any, pretend: Any
) -> None:
    def curve(values: dict[str, Any], epoch: int) -> float:
        return float("nan")

    pretend(curve)
    with pytest.raises(NeuropretrainError, match="trial 0: roc_auc is nan"):
        run(tmp_path, write_base(tmp_path / "base.yaml"), trials=2)


def test_a_stopped_search_goes_on_with_its_trial(
    tmp_path: Path, write_base: Any, pretend: Any, rows_of: Any
) -> None:
    base = write_base(tmp_path / "base.yaml")
    stop = tmp_path / "out" / "stop"

    def stopping(values: dict[str, Any], epoch: int) -> float:
        if Path(values["output"]).name == "0001" and epoch == 3:
            stop.touch()
            time.sleep(0.1)
        return rate_curve(values, epoch)

    first = pretend(stopping)
    original = first.__call__

    def leave(order: Any, device: str = "", beat: Any = None) -> int:
        code = original(order, device, beat)
        if stop.exists():  # a real one leaves without its result
            (Path(order.steps[0][1]["output"]) / "model.json").unlink()
            return 3
        return code

    from napari_neuropretrain.search import trial as trial_module

    trial_module.launch = leave  # type: ignore[assignment]  # `pretend` restores it
    with pytest.raises(Cancelled):
        run(tmp_path, base, trials=4)
    second = pretend(rate_curve)
    run(tmp_path, base, trials=4)
    assert len(second.keys) == 3
    rows = rows_of(tmp_path / "out" / "trials.tsv")
    assert {row["state"] for row in rows} == {"done"}
    folders = [Path(row["folder"]).name for row in rows]
    assert folders == ["0000", "0001", "0003", "0004"]
    # The one that was interrupted goes on in its folder, with its settings.
    again = next(row for row in rows if Path(row["folder"]).name == "0001")
    assert again["trial"] == "2"
    before = first.settings["trial 1"]["learning_rate"]
    assert float(again["learning_rate"]) == pytest.approx(before, rel=1e-4)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from napari_neuropretrain.search import trial as trial_module
def launch(order, device="", beat=None):
    folder = Path(order.steps[0][1]["output"])
    folder.mkdir(parents=True, exist_ok=True)
    if folder.name == "0000":
        (folder / "events.jsonl").write_text({event!r} + chr(10))
        (folder / "model.json").write_text("{{}}")
        return 0
    (folder / "began").touch()
    time.sleep(400)
trial_module.launch = launch
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.config.searching import SearchConfig
from napari_neuropretrain.runs import execute
values = dict(base={base!r}, output={output!r}, space={space!r}, trials=3)
execute(JOBS, "search", SearchConfig.parse(values))
"""


def test_killed_and_resumed(
    tmp_path: Path, write_base: Any, pretend: Any, rows_of: Any
) -> None:
    """After kill -9 the trial that was left running is begun again, once."""
    base = write_base(tmp_path / "base.yaml")
    values = {"epoch": 1, "validation_loss": 1, "best": True, "roc_auc": 0.6}
    event = json.dumps({"state": "epoch", "values": values})
    code = textwrap.dedent(KILLED).format(
        tests=str(Path(__file__).parent),
        event=event,
        base=str(base),
        output=str(tmp_path / "out"),
        space=str(write_space(tmp_path)),
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    began = tmp_path / "out" / "trials" / "0001" / "began"
    until = time.monotonic() + 400
    while not began.exists() and time.monotonic() < until:
        assert child.poll() is None
        time.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    states = [one.state.name for one in study_of(tmp_path).trials]
    assert states == ["COMPLETE", "RUNNING"]
    params = study_of(tmp_path).trials[1].params
    stand_in = pretend(rate_curve)
    run(tmp_path, base, trials=3)
    assert stand_in.keys == ["trial 2", "trial 3"]
    rows = rows_of(tmp_path / "out" / "trials.tsv")
    assert [row["trial"] for row in rows] == ["0", "2", "3"]
    assert Path(rows[1]["folder"]) == began.parent
    assert study_of(tmp_path).trials[2].params == params


def test_other_settings_than_before_are_refused(
    tmp_path: Path, write_base: Any, pretend: Any
) -> None:
    pretend(rate_curve)
    base = write_base(tmp_path / "base.yaml")
    run(tmp_path, base, trials=1)
    run(tmp_path, write_base(base, threads=2), trials=2)
    with pytest.raises(ConfigError, match="epochs was 6, now 7"):
        run(tmp_path, write_base(base, epochs=7), trials=3)


def test_a_storage_that_cannot_be_used(tmp_path: Path, write_base: Any) -> None:
    base = write_base(tmp_path / "base.yaml")
    with pytest.raises(ConfigError, match="name the search"):
        run(tmp_path, base, storage="sqlite:///x.db")
    for url in ("nonsense", "postgresql://me:secret@nowhere.invalid/x", "odd://x"):
        with pytest.raises(ConfigError, match="storage: ") as caught:
            run(tmp_path, base, storage=url, study="one")
        assert "secret" not in str(caught.value)


def test_real_trainings_two_workers_one_storage(
    tmp_path: Path, write_base: Any, pretend: Any, rows_of: Any
) -> None:
    """Two workers here, then another folder that works on the same search."""
    said: list[Progress] = []
    base = write_base(tmp_path / "base.yaml", epochs=2)
    shared = {"storage": f"sqlite:///{tmp_path / 'shared.db'}", "study": "ad"}
    run(tmp_path, base, said.append, trials=2, workers=2, **shared)
    rows = rows_of(tmp_path / "out" / "trials.tsv")
    assert [row["state"] for row in rows] == ["done", "done"]
    spans, pids = [], set()
    for row in rows:
        events, _ = read_events(Path(row["folder"]))
        epochs = [one["values"] for one in events if one["state"] == "epoch"]
        kept = [one for one in epochs if one["best"]][-1]
        assert float(row["roc_auc"]) == pytest.approx(kept["roc_auc"])
        spans.append((events[0]["time"], events[-1]["time"]))
        pids.add(events[0]["values"]["pid"])
    assert len(pids) == 2
    assert max(start for start, _ in spans) < min(end for _, end in spans)
    other = tmp_path / "other"
    other.mkdir()
    pretend(lambda values, epoch: 0.0)
    run(other, base, trials=3, **shared)
    rows = rows_of(other / "out" / "trials.tsv")
    assert [row["state"] for row in rows] == ["done"] * 3
    assert Path(rows[2]["folder"]).is_relative_to(other)
    best = FinetuneConfig.from_file(other / "out" / "best.yaml")
    assert best.output == other / "out" / "best"
    execute(JOBS, "finetune", best.replace(baselines=False))
    assert (other / "out" / "best" / "metrics.json").is_file()
