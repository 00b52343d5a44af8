"""Loggers hear what the events say: real CSV, TensorBoard and MLflow files."""

from __future__ import annotations

import csv
import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.pretrain import pretrain
from napari_neuropretrain.training.tracking import Tracker, check_trackers

TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def toy_config(cohort: Path, output: Path, **changes: Any) -> FinetuneConfig:
    values = {"cohort": cohort, "output": output, "backbone": TOY, "threads": 1}
    values |= {"epochs": 3, "task": "ad", "device": "cpu", "baselines": False}
    return FinetuneConfig.parse(values | changes)


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "logs" / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def scalars_of(output: Path) -> dict[str, dict[int, float]]:
    """Read TensorBoard's event files as it does itself: by tag and step."""
    module = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(module)
    found = accumulator.EventAccumulator(str(output / "tensorboard"))
    found.Reload()
    return {
        tag: {one.step: one.value for one in found.Scalars(tag)}
        for tag in found.Tags()["scalars"]
    }


def said_by_epoch(said: list[Progress], name: str) -> dict[int, float]:
    epochs = [one.values for one in said if one.state == "epoch"]
    return {one["epoch"]: one[name] for one in epochs}


class StopAfter:
    """A report that asks to stop after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.said: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.said.append(progress)
        if progress.state == "epoch" and progress.values["epoch"] == self.epoch:
            raise Cancelled("enough")


@pytest.fixture(scope="module")
def resumed(
    derivatives: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Progress]]:
    """A training that was stopped after the second of three epochs, and went on."""
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    output = tmp_path_factory.mktemp("tracked")
    config = toy_config(derivatives, output, trackers="tensorboard,mlflow")
    first = StopAfter(2)
    with pytest.raises(Cancelled):
        finetune(config, first)
    said = list(first.said)
    finetune(config, said.append)
    return output, said


def test_the_table_has_a_row_for_each_epoch(
    resumed: tuple[Path, list[Progress]],
) -> None:
    output, said = resumed
    rows = rows_of(output)
    assert [int(row["step"]) for row in rows] == [1, 2, 3]
    for name in ("loss", "validation_loss", "roc_auc", "learning_rate"):
        found = {int(row["step"]): float(row[name]) for row in rows}
        assert found == pytest.approx(said_by_epoch(said, name))
    assert "eta_s" not in rows[0]


def test_tensorboard_has_the_same_curves(resumed: tuple[Path, list[Progress]]) -> None:
    output, said = resumed
    scalars = scalars_of(output)
    for name in ("loss", "validation_loss", "roc_auc", "learning_rate"):
        assert scalars[name] == pytest.approx(said_by_epoch(said, name), rel=1e-6)
    assert set(scalars["test/roc_auc"]) == {3}


def test_mlflow_has_one_run_with_settings_and_test(
    resumed: tuple[Path, list[Progress]],
) -> None:
    from mlflow.tracking import MlflowClient

    output, said = resumed
    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("neuropretrain finetune")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == output.name
    assert run.data.params["backbone/growth_rate"] == "4"
    assert run.data.params["epochs"] == "3"
    history = client.get_metric_history(run.info.run_id, "validation_loss")
    found = {one.step: one.value for one in history}
    assert found == pytest.approx(said_by_epoch(said, "validation_loss"))
    assert 0 <= run.data.metrics["test/roc_auc"] <= 1


def test_begun_anew_the_old_rows_are_gone(derivatives: Path, tmp_path: Path) -> None:
    config = toy_config(derivatives, tmp_path, epochs=2)
    with pytest.raises(Cancelled):
        finetune(config, StopAfter(1))
    finetune(config.replace(overwrite=True, epochs=1), silent)
    assert [int(row["step"]) for row in rows_of(tmp_path)] == [1]
    # Without the option there are no files of the others.
    assert not list(tmp_path.glob("tensorboard*"))
    assert not list(tmp_path.glob("mlflow*"))


def test_pretraining_is_tracked_too(derivatives: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    values = {"cohort": derivatives, "output": tmp_path, "backbone": TOY, "epochs": 2}
    values |= {"device": "cpu", "threads": 1, "batch_size": 8, "warmup_epochs": 0}
    config = PretrainConfig.parse(values | {"trackers": ["tensorboard"]})
    said: list[Progress] = []
    pretrain(config, said.append)
    assert [int(row["step"]) for row in rows_of(tmp_path)] == [1, 2]
    expected = said_by_epoch(said, "feature_rank")
    assert scalars_of(tmp_path)["feature_rank"] == pytest.approx(expected, rel=1e-6)


def test_what_is_not_installed_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, derivatives: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("tensorboard", "mlflow"):
        config = toy_config(derivatives, tmp_path / name, trackers=name)
        with pytest.raises(ConfigError, match=rf"'{name}' is not .*\[tracking\]"):
            finetune(config, silent)
    check_trackers(())
    with pytest.raises(ConfigError, match="trackers"):
        toy_config(derivatives, tmp_path, trackers="wandb")


def test_a_server_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "odd://nowhere.invalid")
    config = toy_config(tmp_path, tmp_path, trackers="mlflow")
    with pytest.raises(ConfigError, match=r"odd://nowhere.invalid.*MLFLOW_TRACKING"):
        Tracker("finetune", config, silent)


def test_a_logger_that_fails_does_not_end_the_training(tmp_path: Path) -> None:
    said: list[Progress] = []
    tracker = Tracker("finetune", toy_config(tmp_path, tmp_path), said.append)
    values = {"epoch": 1, "loss": math.nan, "best": False, "metric": "mae"}
    tracker(Progress("epoch", values=values))
    (tmp_path / "logs" / "metrics.csv").unlink()
    (tmp_path / "logs").rmdir()
    (tmp_path / "logs").write_text("a file is in the way")
    for epoch in (2, 3):
        tracker(Progress("epoch", values=values | {"epoch": epoch}))
    tracker.close("success")
    warned = [one.message for one in said if one.state == "warning"]
    assert len(warned) == 1
    assert "csv fails, and hears no more" in warned[0]
    assert [one.values["epoch"] for one in said if one.state == "epoch"] == [1, 2, 3]
