"""Cards and summaries for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.weights import ImportConfig, InspectConfig
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.weights.importing import import_weights
from napari_neuropretrain.weights.inspection import inspect
from napari_neuropretrain.weights.model_card import CohortSummary, ModelCard, Part
from napari_neuropretrain.weights.model_file import save_model

OPTIONS = {"init_features": 4, "growth_rate": 4, "block_config": [2, 2]}
CARD = ModelCard(
    backbone=Part(catalog="backbones", name="tiny_densenet", options=OPTIONS),
    task=Part(catalog="tasks", name="ad"),
    kind="binary",
    label="diagnosis",
    unit="",
    contract=PreprocessingContract(shape=(32, 32, 32)),
    cohort=CohortSummary(
        scans={"train": 60, "test": 20},
        participants={"train": 50, "test": 15},
        age_mean=71.5,
        age_range=(55.0, 88.0),
        sexes={"F": 30, "M": 20},
        sites={"north": 50},
    ),
    metrics={
        "test": {"n": 20, "roc_auc": 0.875, "sensitivity": None},
        "baseline": {"predicts": "larger training group", "roc_auc": 0.5},
    },
    threshold=0.4321,
    training={"epochs": 30, "learning_rate": 1e-3},
    licence="CC-BY-4.0",
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path, CARD.backbone.build(), CARD)
    return tmp_path


def shown(file: Path | str, **changes: Any) -> str:
    return inspect(InspectConfig.parse({"file": file, **changes}), silent).message


@pytest.mark.parametrize("name", ["", "model.safetensors", "model.json"])
def test_the_card_of_a_model_holds_all_that_matters(model: Path, name: str) -> None:
    text = shown(model / name)
    for part in (
        "Model for ad",
        "a probability for the column 'diagnosis'",
        "network: tiny_densenet",
        "train 50 participants, 60 scans",
        "training ages 55 to 88 years, mean 71.5",
        "F 30, M 20",
        "test: n 20, roc_auc 0.875, sensitivity none",
        "baseline: predicts larger training group",
        "called positive from 0.432",
        "shape: 32x32x32",
        "spacing_mm: 2",
        "learning_rate: 0.001",
        "Outside 55 to 88 years it guesses.",
        "Tested on 20 scans only",
        "Trained on one site",
        "CC-BY-4.0",
        "For research use only. Not a medical device",
        "sha256",
    ):
        assert part in text, part


def test_a_card_that_says_little_still_prints(tmp_path: Path) -> None:
    bare = CARD.replace(
        cohort={}, metrics={}, threshold=None, training={}, licence="", task=CARD.task
    )
    save_model(tmp_path, CARD.backbone.build(), bare)
    text = shown(tmp_path)
    assert "not recorded" in text
    assert "Not stated" in text


def test_a_card_as_json_is_the_card(model: Path) -> None:
    assert json.loads(shown(model, json_output=True))["label"] == "diagnosis"


def test_weights_that_are_not_those_of_the_card_are_told(model: Path) -> None:
    heard: list[Progress] = []
    (model / "model.safetensors").write_bytes(b"other")
    inspect(InspectConfig(file=model), heard.append)
    assert "damaged or was exchanged" in heard[0].message
    (model / "model.safetensors").unlink()
    inspect(InspectConfig(file=model / "model.json"), heard.append)
    assert "no 'model.safetensors' beside" in heard[1].message


def test_an_encoder_prints_its_card(toys: dict[str, Any], tmp_path: Path) -> None:
    foreign = toys["yaware_densenet"]
    file = foreign.save(tmp_path / "DenseNet121_BHB-10K_yAwareContrastive.pth")
    config = {
        "file": file,
        "output": tmp_path / "bhb.safetensors",
        "options": yaml.safe_dump(foreign.options),
        "accept_licence": True,
    }
    import_weights(ImportConfig.parse(config), silent)
    text = shown(tmp_path / "bhb.safetensors")
    for part in (
        "Encoder: DenseNet121 of y-aware contrastive learning",
        "network: densenet121, no head",
        "BHB-10K: 10,420 scans",
        "Grey matter maps of CAT12",
        "importer yaware_densenet",
        "none stated by the authors",
        "4 start fresh",
        "fine-tune it on labelled scans",
        "For research use only",
        "https://drive.google.com",
    ):
        assert part in text, part


def test_a_foreign_file_is_summarised_and_recognised(
    foreign: Any, tmp_path: Path
) -> None:
    # The released size, since the catalog's backbones have it, would take long:
    # the names are enough to tell the importer.
    file = foreign.save(tmp_path / "theirs.ckpt")
    text = shown(file, names=2)
    state = foreign.state()
    count = sum(tensor.numel() for tensor in state.values())
    assert f"{len(state)} tensors" in text
    assert f"{count:,} values" in text
    first = next(iter(state))
    assert f"{first} {tuple(state[first].shape)}" in text
    assert f"and {len(state) - 2} more" in text
    assert "other entries: epoch" in text or not foreign.wrapper
    assert "fits no backbone of the catalog" in text


def test_a_file_that_fits_says_which_backbone(tmp_path: Path) -> None:
    network = Part(catalog="backbones", name="sfcn").build()
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save(state, tmp_path / "theirs.p")
    text = shown(tmp_path / "theirs.p")
    assert "It fits the backbone 'sfcn' with the importer" in text
    assert "names in the file start with 'module.'" in text


def test_known_weights_are_described_before_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path))
    text = shown("brainiac")
    assert "CC-BY-NC-4.0" in text
    assert "Type: neuropretrain weights pull brainiac" in text


def test_nothing_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is nothing at"):
        shown(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no model\.json"):
        shown(tmp_path)
    torch.save([1, 2], tmp_path / "list.pt")
    assert "It holds no tensors with names" in shown(tmp_path / "list.pt")
