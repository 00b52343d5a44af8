"""Memory, precision, checkpointing and what a run cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_neuropretrain.backbones.densenet import DenseNetBackbone, build_densenet
from napari_neuropretrain.config.options.backbones import DenseNetOptions
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import ConfigError, is_out_of_memory
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.memory import Pace
from napari_neuropretrain.training.module import loss_shares
from napari_neuropretrain.training.speed import (
    checkpoint_stages,
    choose_precision,
    prepare_network,
)
from napari_neuropretrain.weights.model_file import load_model

TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}
CPU = torch.device("cpu")


def settings(cohort: Path, output: Path, **changes: Any) -> FinetuneConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "backbone": TOY}
    values |= {"epochs": 2, "task": "ad", "device": "cpu", "threads": 1}
    return FinetuneConfig.parse(values | changes)


def limit_memory(monkeypatch: pytest.MonkeyPatch, volumes: int, free: int) -> None:
    """Let the network fail with more volumes than that, after `free` steps."""
    original, steps = DenseNetBackbone.forward, []

    def forward(self: DenseNetBackbone, images: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            steps.append(len(images))
            if len(steps) > free and len(images) > volumes:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to ...")
        return original(self, images)

    monkeypatch.setattr(DenseNetBackbone, "forward", forward)


def test_the_batch_is_halved_and_the_epoch_begins_again(
    derivatives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, volumes=2, free=4)  # fails in the second epoch
    said: list[Progress] = []
    finetune(settings(derivatives, tmp_path), said.append)
    warning, idle = [one for one in said if one.state == "warning"]
    assert "learned next to nothing" in idle.message  # in two epochs
    assert "Out of memory with 4 volumes per step: going on with 2" in warning.message
    assert warning.values == {"batch_size": 2, "accumulate": 2}
    assert [one.step for one in said if one.state == "epoch"] == [1, 2]
    training = load_model(tmp_path)[1].training
    assert (training["batch_size"], training["batch_size_used"]) == (4, 2)
    assert training["accumulate_used"] == 2
    notes = json.loads((tmp_path / "checkpoints" / "training.json").read_text())
    assert notes["pace"] == [2, 2]


def test_a_batch_that_cannot_be_halved_fails(
    derivatives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, volumes=1, free=0)
    said: list[Progress] = []
    with pytest.raises(torch.cuda.OutOfMemoryError):
        finetune(settings(derivatives, tmp_path), said.append)
    assert len([one for one in said if one.state == "warning"]) == 1


@pytest.mark.parametrize(
    ("error", "yes"),
    [
        (RuntimeError("[enforce fail at alloc_cpu] ... can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("could not create a primitive"), True),
        (MemoryError(), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised(error: Exception, yes: bool) -> None:
    assert is_out_of_memory(error) is yes


def test_halving_keeps_the_volumes_per_update() -> None:
    pace = Pace(16, 3)
    for _ in range(4):
        pace = pace.halved()
        assert pace.volumes == 48
    assert pace == Pace(1, 48)


@pytest.mark.parametrize(("volumes", "accumulate"), [(12, 2), (7, 2), (10, 4), (5, 1)])
def test_added_gradients_are_those_of_one_batch(volumes: int, accumulate: int) -> None:
    data, weight = torch.randn(volumes, 3), torch.ones(3, requires_grad=True)
    batches = data.split(2)
    shares = loss_shares([len(one) for one in batches], accumulate)
    for start in range(0, len(batches), accumulate):
        group = range(start, min(start + accumulate, len(batches)))
        for index in group:
            loss = (batches[index] @ weight).square().mean()
            (loss * shares[index] / accumulate).backward()
        together = torch.cat([batches[index] for index in group])
        (expected,) = torch.autograd.grad((together @ weight).square().mean(), weight)
        assert torch.allclose(weight.grad, expected, rtol=1e-5)
        weight.grad = None


def test_checkpointing_gives_the_same_gradients() -> None:
    options = DenseNetOptions(init_features=4, growth_rate=4, block_config=(2, 2))
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        network = build_densenet(options.replace(dropout=0.3))
        names = list(network.state_dict())
        if again:
            assert checkpoint_stages(network) == 3  # two blocks and a transition
        torch.manual_seed(1)
        network(torch.randn(2, 1, 32, 32, 32)).sum().backward()
        assert list(network.state_dict()) == names
        found.append([one.grad for one in network.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_backbone_of_single_layers_cannot_be_checkpointed(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network.stages, network.head_name = (("0",),), "1"
    config = settings(tmp_path, tmp_path, checkpointing=True)
    with pytest.raises(ConfigError, match=r"checkpointing.*lower batch_size"):
        prepare_network(network, config)


def test_compiling_is_asked_for_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: asked.append(self))
    network = nn.Conv3d(1, 2, 3)
    prepare_network(network, settings(tmp_path, tmp_path))
    assert not asked
    config = settings(tmp_path, tmp_path, compile=True, channels_last=True)
    prepare_network(network, config)
    assert asked == [network]
    assert network.weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_cpu_stays_with_single_precision_unless_asked() -> None:
    assert choose_precision("auto", CPU) == "32-true"
    assert choose_precision("bfloat16", CPU) == "bf16-mixed"
    with pytest.raises(ConfigError, match="float16 needs an NVIDIA GPU"):
        choose_precision("float16", CPU)


def test_low_rank_training_gives_a_plain_model_and_its_cost(
    derivatives: Path, tmp_path: Path
) -> None:
    said: list[Progress] = []
    config = settings(
        derivatives,
        tmp_path,
        tuning={"name": "lora", "rank": 2},
        precision="bfloat16",
        checkpointing=True,
        channels_last=True,
        accumulate=2,
    )
    finetune(config, said.append)
    network, card = load_model(tmp_path)
    assert not [name for name in network.state_dict() if "parametrizations" in name]
    cost = json.loads((tmp_path / "metrics.json").read_text())["cost"]
    assert card.training["cost"] == cost
    total = sum(one.numel() for one in network.parameters())
    assert cost["total_parameters"] == total
    assert 0 < cost["trainable_parameters"] < total
    assert cost["wall_s"] > 0
    assert cost["samples_per_s"] > 0
    assert 50 < cost["peak_memory_mib"] < 100_000
    assert cost["memory_of"] == "process"
    assert any("volumes/s" in one.message for one in said if one.state == "metric")
    assert any("initial_weights is empty" in one.message for one in said)


def test_top_changes_the_head_alone(derivatives: Path, tmp_path: Path) -> None:
    finetune(settings(derivatives, tmp_path, tuning="top", seed=4), silent)
    torch.manual_seed(4)
    options = {name: value for name, value in TOY.items() if name != "name"}
    before = build_densenet(DenseNetOptions.parse(options)).state_dict()
    after = load_model(tmp_path)[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"class_layers.out.weight", "class_layers.out.bias"}
