"""A training that dies within an epoch goes on at a step, to the same end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.augmentations import Augmentation
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.pretrain import pretrain
from napari_neuropretrain.training.resume import OLDER, STATE

# Dropout, so that the random state of the network counts, too.
TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
    "dropout": 0.2,
}
ALWAYS = 1e-9
"""Minutes between checkpoints: one after each step."""
FIELDS: dict[str, Any] = {"backbone": TOY, "device": "cpu", "threads": 1}


def tuning(cohort: Path, output: Path, **changes: Any) -> FinetuneConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "task": "brain_age"}
    values |= FIELDS | {"epochs": 3, "batch_size": 2, "checkpoint_minutes": ALWAYS}
    return FinetuneConfig.parse(values | changes)


def training(cohort: Path, output: Path, **changes: Any) -> PretrainConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "epochs": 4}
    values |= FIELDS | {"batch_size": 4, "checkpoint_minutes": ALWAYS, "probe": "none"}
    values |= {"method": {"name": "simclr", "projector": [16, 8]}}
    return PretrainConfig.parse(values | changes)


def fail_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the augmentation of that batch, from 1 on, raise."""
    calls, original = [], Augmentation.__call__

    def fail(self: Augmentation, images: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == call:
            raise OSError("power cut")
        return original(self, images)

    monkeypatch.setattr(Augmentation, "__call__", fail)


def assert_same(one: Path, other: Path, name: str = "model.safetensors") -> None:
    first, second = load_file(one / name), load_file(other / name)
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), key


def losses(events: list[Progress]) -> list[tuple[float, float]]:
    epochs = [one.values for one in events if one.state == "epoch"]
    return [(one["loss"], one["validation_loss"]) for one in epochs]


@pytest.mark.parametrize(
    "changes",
    [{}, {"ema": 0.9, "clip": 0.5, "accumulate": 2}],
    ids=["plain", "averaged"],
)
def test_finetuning_goes_on_at_a_step(
    changes: dict[str, Any],
    derivatives: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    unbroken: list[Progress] = []
    finetune(tuning(derivatives, whole, **changes), unbroken.append)
    with monkeypatch.context() as patched:
        fail_at(12, patched)  # 6 batches of 2, and one volume left out
        with pytest.raises(OSError, match="power cut"):
            finetune(tuning(derivatives, broken, **changes), silent)
    every = changes.get("accumulate", 1)  # after an update of the weights only
    steps = 11 - 11 % every - 6  # of the second epoch
    state = torch.load(broken / "checkpoints" / STATE, weights_only=True)
    assert (state["epoch"], state["step"], state["position"]) == (1, steps, 2 * steps)
    older = torch.load(broken / "checkpoints" / OLDER, weights_only=True)
    assert (older["epoch"], older["step"]) == (1, steps - every)
    said: list[Progress] = []
    finetune(tuning(derivatives, broken, **changes), said.append)
    words = f"Going on in epoch 2 of 3, after step {steps}"
    assert any(one.message.startswith(words) for one in said)
    assert losses(said) == losses(unbroken)[1:]
    assert_same(whole, broken)


@pytest.mark.parametrize("way", ["request", "signal"])
def test_stopping_keeps_the_step(way: str, derivatives: Path, tmp_path: Path) -> None:
    steps: list[int] = []

    def stop(progress: Progress) -> None:
        if progress.state == "step" and "loss" in progress.values:
            steps.append(progress.step or 0)
            if way == "request":
                raise Cancelled("enough")
            os.kill(os.getpid(), signal.SIGTERM)

    config = tuning(derivatives, tmp_path, checkpoint_minutes=0, epochs=200)
    with pytest.raises(Cancelled):
        finetune(config, stop)
    state = torch.load(tmp_path / "checkpoints" / STATE, weights_only=True)
    assert 6 * state["epoch"] + state.get("step", 0) == steps[0]


def kill_after(checkpoints: int, config: PretrainConfig, file: Path) -> None:
    """Start the command, and kill it when it has written so many states."""
    config.to_file(file)
    command = [sys.executable, "-m", "napari_neuropretrain", "pretrain"]
    state = config.output / "checkpoints" / STATE
    stamps = {state.stat().st_mtime_ns} if state.exists() else {0}
    limit = time.monotonic() + 120
    process = subprocess.Popen(
        [*command, "--config", str(file)], stderr=subprocess.DEVNULL
    )
    while len(stamps) <= checkpoints:
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < limit
        time.sleep(0.005)
        with suppress(FileNotFoundError):  # while it is replaced
            stamps.add(state.stat().st_mtime_ns)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def digest(folder: Path) -> str:
    found = sha256()
    for name, tensor in sorted(load_file(folder / "encoder.safetensors").items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_at_random_steps_it_ends_the_same(
    derivatives: Path, tmp_path: Path
) -> None:
    """Two processes are killed within an epoch; a third one goes on to the end."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    pretrain(training(derivatives, whole, ema=0.9), silent)
    config, draw = training(derivatives, broken, ema=0.9), random.Random(5)
    for _ in range(2):
        kill_after(draw.randint(1, 5), config, tmp_path / "config.yaml")
    said: list[Progress] = []
    pretrain(config, said.append)
    assert any("Going on" in one.message for one in said)
    assert digest(broken) == digest(whole)
