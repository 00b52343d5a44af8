"""What a pre-training would cost, and which choices cannot be trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.cli.main import main
from napari_neuropretrain.config.estimate import Estimate, PretrainEstimateConfig
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.training import findings
from napari_neuropretrain.training.pretrain_trial import PretrainTrial

TOY: dict[str, Any] = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}
SIMCLR = {"name": "simclr", "projector": [16, 8]}
SYNTHETIC = {"name": "template_cohort", "participants": 8, "shape": "16"}
VALUES = {"backbone": TOY, "method": SIMCLR, "device": "cpu", "threads": 1}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Estimate]:
    """Keep what the trial says, in this process."""
    said: list[Estimate] = []
    monkeypatch.setattr(findings, "say", said.append)
    return said


def run_trial(**changes: Any) -> None:
    PretrainTrial(PretrainEstimateConfig.parse(VALUES | changes)).run()


def test_parameters_come_first_then_volumes_then_time(
    derivatives: Path, told: list[Estimate]
) -> None:
    run_trial(cohort=derivatives, batch_size=4)
    first, last = told[0], told[-1]
    assert first.shape == (32, 32, 32)
    # Features of 8 channels: 8 x 16 + 16, and 16 x 8 + 8 for the projector.
    assert first.parameters == first.trainable > 280
    assert (first.scans, first.epoch_s) == ({}, None)
    assert last.done
    assert last.scans == {"train": 18, "validation": 2}
    assert (last.device, last.batch_size) == ("cpu", 4)
    assert last.epoch_s is not None
    assert 0 < last.epoch_s[0] < last.epoch_s[1] < 60
    assert last.memory_mib > 50


@pytest.mark.parametrize(
    "method",
    [
        {"name": "supervised", "label": "diagnosis", "kind": "classes"},
        {"name": "y_aware", "projector": [8, 4]},
        {"name": "reconstruction", "decoder_width": 2},
    ],
    ids=lambda method: str(method["name"]),
)
def test_methods_with_labels_and_without_are_tried(
    derivatives: Path, told: list[Estimate], method: dict[str, Any]
) -> None:
    run_trial(cohort=derivatives, batch_size=2, method=method)
    assert told[-1].done
    assert told[-1].epoch_s is not None


def test_without_a_source_parameters_are_counted(told: list[Estimate]) -> None:
    run_trial()
    assert told[-1].done
    assert told[-1].parameters > 0
    assert told[-1].device == ""


def test_raw_scans_are_counted_and_not_preprocessed(
    six_participants: Path, told: list[Estimate]
) -> None:
    run_trial(cohort=six_participants, probe_seconds=0, shape="48")
    assert told[-1].raw_scans == 6
    assert told[-1].shape == (48, 48, 48)
    assert told[-1].scans == {"train": 4, "validation": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mae"}, "mae does not work with DenseNet.*no tokens"),
        ({"method": "mae", "backbone": "minit"}, "mae does not work with MiNiT"),
        (
            {"source": SYNTHETIC, "method": {"name": "y_aware", "label": "height"}},
            "no label 'height', only 'age'",
        ),
        (
            {"source": SYNTHETIC, "method": {"name": "y_aware", "label": "sex"}},
            "must be a number",
        ),
        (
            {"source": SYNTHETIC | {"participants": 2}},
            "needs at least .* has 2 that can be used",
        ),
        ({"source": SYNTHETIC, "backbone": "vit_8m"} | {"method": "mae"}, None),
        (
            {"source": SYNTHETIC | {"shape": "24"}, "backbone": "vit_8m"},
            "each edge must be a multiple of 16",
        ),
        ({"source": {"name": "label_maps", "path": "/no/maps"}}, "/no/maps"),
        ({"initial_weights": "nowhere"}, "no initial weights at 'nowhere'"),
        ({"device": "cuda:7"}, "'cuda:7' is not available"),
    ],
)
def test_what_cannot_be_trained_is_said(
    changes: dict[str, Any], message: str | None, told: list[Estimate]
) -> None:
    changes = {"probe_seconds": 0} | changes
    if message is None:
        run_trial(**changes)
        assert told[-1].problem == ""
        return
    with pytest.raises(NeuropretrainError, match=message):
        run_trial(**changes)


def test_the_command_tells_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.yaml"
    values = VALUES | {"source": SYNTHETIC, "probe_seconds": 0}
    PretrainEstimateConfig.parse(values).to_file(settings)
    assert main(["estimate-pretrain", "--config", str(settings), "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["scans"] == {"train": 6, "validation": 2}
