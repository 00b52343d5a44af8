"""Two processes that train together do what one does with the same batches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.pretrain import pretrain
from napari_neuropretrain.training.resume import STATE

# Without dropout: each process draws its own.
NIT = {"name": "nit", "dim": 24, "layers": 2, "heads": 2, "dim_head": 6, "mlp_dim": 20}
NIT |= {"dropout": 0, "embedding_dropout": 0}
FIELDS: dict[str, Any] = {"device": "cpu", "threads": 1, "backbone": NIT}


def training(cohort: Path, output: Path, **changes: Any) -> PretrainConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "epochs": 2}
    values |= FIELDS | {"learning_rate": 1e-3, "probe": "none", "batch_size": 5}
    return PretrainConfig.parse(values | changes)


def tuning(cohort: Path, output: Path, **changes: Any) -> FinetuneConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "task": "brain_age"}
    values |= FIELDS | {"epochs": 3, "batch_size": 5, "learning_rate": 1e-3}
    return FinetuneConfig.parse(values | changes)


def curves(events: list[Progress]) -> list[list[float]]:
    epochs = [one.values for one in events if one.state == "epoch"]
    return [[one["loss"], one["validation_loss"]] for one in epochs]


def assert_near(one: list[Progress], two: list[Progress], epochs: int) -> None:
    expected, found = curves(one), curves(two)
    assert len(expected) == len(found) == epochs
    for before, now in zip(expected, found, strict=True):
        assert now == pytest.approx(before, abs=1.01e-5)  # five digits are told


METHODS = [
    {"name": "simclr", "projector": [16, 8]},
    {"name": "mae", "decoder_width": 24, "decoder_heads": 2, "brain_only": True},
]


@pytest.mark.parametrize("method", METHODS, ids=["simclr", "mae"])
def test_pretraining(method: dict[str, Any], derivatives: Path, tmp_path: Path) -> None:
    """Batches of 5 and 3 volumes: one process has one volume more than the other."""
    said: dict[int, list[Progress]] = {1: [], 2: []}
    for devices, events in said.items():
        changes = {"method": method, "devices": devices, "ema": 0.5}
        output = tmp_path / str(devices)
        pretrain(training(derivatives, output, **changes), events.append)
    assert_near(said[1], said[2], 2)
    one, two = (load_file(tmp_path / name / "encoder.safetensors") for name in "12")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5)
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT"} & set(os.environ)


def test_finetuning_stops_and_goes_on(derivatives: Path, tmp_path: Path) -> None:
    """Two processes are stopped within the second epoch, and one goes on."""
    whole: list[Progress] = []
    finetune(tuning(derivatives, tmp_path / "1", accumulate=2), whole.append)
    said: list[Progress] = []

    def stop(progress: Progress) -> None:
        said.append(progress)
        if [one.state for one in said].count("epoch") == 1:
            raise Cancelled("enough")

    config = tuning(derivatives, tmp_path / "2", devices=2, accumulate=2)
    with pytest.raises(Cancelled):
        finetune(config, stop)
    state = torch.load(tmp_path / "2" / "checkpoints" / STATE, weights_only=True)
    assert state["epoch"] == 1
    finetune(config.replace(devices=1), said.append)
    assert_near(whole, said, 3)
