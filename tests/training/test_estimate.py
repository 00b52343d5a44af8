"""What a fine-tuning would cost, and which pairs cannot be trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.cli.main import main
from napari_neuropretrain.config.estimate import Estimate, EstimateConfig
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.training import estimate as estimating
from napari_neuropretrain.training import findings
from napari_neuropretrain.training import probe as probing
from napari_neuropretrain.training.finetune_trial import FinetuneTrial

TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}
VALUES = {"backbone": TOY, "task": "ad", "device": "cpu", "threads": 1, "epochs": 3}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Estimate]:
    """Keep what the trial says, in this process."""
    said: list[Estimate] = []
    monkeypatch.setattr(findings, "say", said.append)
    return said


def run_trial(**changes: Any) -> None:
    FinetuneTrial(EstimateConfig.parse(VALUES | changes)).run()


def test_parameters_come_first_then_scans_then_time(
    derivatives: Path, told: list[Estimate]
) -> None:
    run_trial(cohort=derivatives, tuning="top", batch_size=4)
    first, last = told[0], told[-1]
    assert first.parameters > first.trainable > 0
    assert first.shape == (32, 32, 32)
    assert first.scans == {}
    assert first.epoch_s is None
    assert last.scans == {"train": 12, "validation": 4, "test": 4}
    assert last.done
    assert last.device == "cpu"
    assert last.batch_size == 4
    assert last.epoch_s is not None
    assert 0 < last.epoch_s[0] < last.epoch_s[1] < 60
    assert 50 < last.memory_mib < last.total_mib
    assert "without initial weights" in last.warnings[0]
    words = " · ".join(last.facts())
    assert f"{first.trainable} trained" in words
    assert "12 train / 4 validation / 4 test" in words


def test_twice_the_volumes_take_twice_the_time(told: list[Estimate]) -> None:
    config = EstimateConfig.parse(VALUES | {"batch_size": 4})
    probe = object.__new__(probing.Probe)
    probe._config = config
    probe._plan = type("Plan", (), {"total": 100, "trainable": 100})()
    tried = probing.Tried(batch_size=2, step_s=(1.0, 2.0), look_s=0.1, peak=3_000_000)
    found = Estimate(scans={"train": 8, "validation": 2})
    scaled = probe._scaled(tried, found, base=1_000_000, kept=0)
    # Two batches of 4 are four of what was tried; 8 + 2 volumes are looked at.
    assert scaled["epoch_s"] == pytest.approx((5.0 * 0.85, 9.0 * 1.15))
    # The maps double, the 1600 bytes of the parameters do not.
    assert scaled["memory_mib"] == (1_000_000 + 1600 + 2 * (2_000_000 - 1600)) // 2**20
    # Two devices have 2 volumes each, of both batches, and 1 of the validation.
    probe._config = config.replace(devices=2)
    scaled = probe._scaled(tried, found, base=1_000_000, kept=0)
    assert scaled["epoch_s"] == pytest.approx((2.9 * 0.85, 4.9 * 1.15))
    assert scaled["memory_mib"] == 3_000_000 // 2**20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial_weights": "kinetics_swin_t"}, "belong to the backbone 'swin_t'"),
        (
            {"backbone": "swin_t", "initial_weights": "kinetics_swin_t"},
            "weights pull kinetics_swin_t",
        ),
        ({"initial_weights": "nowhere"}, "no initial weights at 'nowhere'"),
        ({"tuning": {"name": "lora", "modules": ["attn"]}}, "no Linear or Conv3d"),
        ({"tuning": {"name": "partial", "from_stage": 9}}, "from_stage is 9"),
        ({"backbone": "vit_8m", "shape": "50"}, "each edge must be a multiple of 16"),
        ({"device": "cuda:7"}, "'cuda:7' is not available"),
    ],
    ids=["backbone", "pulled", "path", "lora", "stage", "shape", "device"],
)
def test_what_cannot_be_trained_is_said(
    changes: dict[str, Any],
    message: str,
    told: list[Estimate],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path))
    with pytest.raises(NeuropretrainError, match=message):
        run_trial(**changes)


def test_a_shape_is_refused_for_the_cohort(
    derivatives: Path, told: list[Estimate]
) -> None:
    nit = {"name": "nit", "shape": "80"}
    run_trial(backbone="nit", cohort=derivatives, probe_seconds=0)
    assert told[-1].done
    assert told[-1].shape == (32, 32, 32)
    with pytest.raises(NeuropretrainError, match="each edge must be a multiple of 5"):
        run_trial(backbone=nit | {"patch": 5}, cohort=derivatives)


def test_out_of_memory_says_what_to_lower(
    derivatives: Path, told: list[Estimate], monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(*given: object) -> float:
        raise MemoryError("out of memory")

    monkeypatch.setattr(probing.Probe, "_step", step)
    run_trial(cohort=derivatives)
    assert told[-1].done
    assert told[-1].epoch_s is None
    assert "would halve the batch by itself; lower batch_size" in told[-1].warnings[-1]


def test_a_batch_that_would_not_fit_is_not_tried(
    derivatives: Path, told: list[Estimate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing.Probe, "_memory", lambda self: (1, 2**35))
    run_trial(cohort=derivatives, batch_size=8)
    assert told[-1].batch_size == 2
    assert told[-1].too_large
    assert "A step of 8 volumes needs more memory" in told[-1].warnings[-1]


def test_the_command_tells_people_and_programs(
    derivatives: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = derivatives.parent / "estimate.yaml"
    EstimateConfig.parse(VALUES | {"cohort": derivatives}).to_file(settings)
    assert main(["estimate", "--config", str(settings), "--json"]) == 0
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert lines[-1]["done"]
    assert not lines[0]["done"]
    assert lines[-1]["facts"][0].endswith("parameters, all trained")
    assert any("an epoch" in fact for fact in lines[-1]["facts"])
    wrong = ["estimate", "--backbone", "sfcn", "--initial-weights", "brainiac"]
    assert main(wrong) == 1
    assert "Cannot be trained: The weights 'brainiac'" in capsys.readouterr().out


@pytest.mark.parametrize("code", [-9, 5])
def test_a_trial_that_is_killed_leaves_what_it_said(
    code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = Estimate(device="cpu", parameters=5).model_dump_json()
    script = tmp_path / "dies.py"
    end = "os.kill(os.getpid(), 9)" if code == -9 else "sys.exit(5)"
    script.write_text(
        f"import os, sys\nprint('estimate: ' + {said!r}, flush=True)\n{end}"
    )
    popen = estimating.subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        return popen([command[0], str(script)], **options)

    monkeypatch.setattr(estimating.subprocess, "Popen", start)
    config, heard = EstimateConfig(), []
    if code == -9:
        found = estimating.estimate(config, heard.append)
        assert found.done
        assert "killed by the system" in found.warnings[-1]
        assert found.parameters == 5
    else:
        with pytest.raises(NeuropretrainError, match="exit code 5"):
            estimating.estimate(config, heard.append)


def test_a_slow_trial_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = Estimate(device="cpu", parameters=5).model_dump_json()
    script = tmp_path / "slow.py"
    script.write_text(
        f"import time\nprint('estimate: ' + {said!r}, flush=True)\ntime.sleep(60)"
    )
    popen: Callable[..., Any] = estimating.subprocess.Popen
    monkeypatch.setattr(
        estimating.subprocess,
        "Popen",
        lambda command, **options: popen([command[0], str(script)], **options),
    )
    monkeypatch.setattr(estimating, "_GRACE_S", 0.1)
    config = EstimateConfig.parse({"probe_seconds": 0.2})
    found = estimating.estimate(config, lambda one: None)
    assert found.done
    assert "No step was done within 0.2 s" in found.warnings[-1]


def test_it_says_on_whom(derivatives: Path, told: list[Estimate]) -> None:
    run_trial(cohort=derivatives, probe_seconds=0)
    found = told[-1]
    assert set(found.people) == {"train", "validation", "test"}
    words = found.people["train"].split(", ")
    assert words[0] == f"{found.scans['train']} people"
    ill, well = sorted(words[1].split(" and "), key=lambda word: word.endswith("CN"))
    assert (ill.split()[1], well.split()[1]) == ("AD", "CN")
    assert int(ill.split()[0]) + int(well.split()[0]) == found.scans["train"]
    low, high = words[2].removeprefix("age ").split(" to ")
    assert 40 <= int(low) < int(high) <= 78
    assert found.who()[0].startswith("train: ")
