"""Models there and back, and every way a model file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.weights.model_card import (
    ModelCard,
    Part,
    hash_participant,
    summarise_cohort,
)
from napari_neuropretrain.weights.model_file import load_model, save_model

TOY = Part(
    catalog="backbones",
    name="tiny_densenet",
    options={"init_features": 4, "growth_rate": 4, "block_config": [2, 2]},
)
CARD = ModelCard(
    backbone=TOY,
    task=Part(catalog="tasks", name="brain_age"),
    kind="regression",
    label="age",
    unit="years",
    contract=PreprocessingContract(shape=(32, 32, 32)),
    label_mean=61.5,
    label_sd=9.25,
)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    built: nn.Module = TOY.build()
    return built


def test_a_model_comes_back_as_it_was(tmp_path: Path, network: nn.Module) -> None:
    network(torch.randn(2, 1, 32, 32, 32))  # moves the running statistics
    weights = save_model(tmp_path, network, CARD)
    loaded, card = load_model(tmp_path)
    assert weights.name == "model.safetensors"
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    assert (card.label_mean, card.label_sd) == (61.5, 9.25)
    assert card.contract == CARD.contract
    assert card.parameters == sum(one.numel() for one in network.parameters())
    assert {"torch", "napari-neuropretrain"} <= card.versions.keys()
    assert [file.name for file in tmp_path.iterdir() if file.name[0] == "."] == []


def test_a_named_file_has_its_card_beside_it(
    tmp_path: Path, network: nn.Module
) -> None:
    save_model(tmp_path / "age.safetensors", network, CARD)
    assert load_model(tmp_path / "age.safetensors")[1].label == "age"
    assert (tmp_path / "age.json").is_file()


def test_one_changed_byte_is_noticed(tmp_path: Path, network: nn.Module) -> None:
    weights = save_model(tmp_path, network, CARD)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged or was exchanged"):
        load_model(tmp_path)


def test_a_cut_file_is_noticed(tmp_path: Path, network: nn.Module) -> None:
    weights = save_model(tmp_path, network, CARD)
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(weights)


def test_missing_files_are_named(tmp_path: Path, network: nn.Module) -> None:
    with pytest.raises(CheckpointError, match=r"There is no model at '.*nowhere'"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors"):
        load_model(tmp_path)
    weights = save_model(tmp_path, network, CARD)
    (tmp_path / "model.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no 'model\.json' beside it"):
        load_model(weights)


@pytest.mark.parametrize("name", ["best.pt", "last.ckpt", "model.pth"])
def test_pickles_are_refused(tmp_path: Path, name: str) -> None:
    torch.save({}, tmp_path / name)
    with pytest.raises(CheckpointError, match=r"can run code when opened"):
        load_model(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is not a model card"),
        ({"format_version": 2}, "of another version"),
        ({"surprise": 1}, "surprise: unknown setting"),
        ({"backbone": {"catalog": "backbones", "name": "vit"}}, "does not know.*'vit'"),
    ],
)
def test_a_strange_card_is_explained(
    tmp_path: Path, network: nn.Module, change: dict[str, object], message: str
) -> None:
    save_model(tmp_path, network, CARD)
    card = tmp_path / "model.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        load_model(tmp_path)


@pytest.mark.parametrize("version", [1, 3, None])
def test_a_contract_of_another_version_is_refused(
    tmp_path: Path, network: nn.Module, version: int | None
) -> None:
    save_model(tmp_path, network, CARD)
    path = tmp_path / "model.json"
    card = json.loads(path.read_text())
    card["contract"]["version"] = version
    path.write_text(json.dumps(card))
    message = rf"by version {version} of the.*has version 2\. .*trained it \(napari"
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path)


def test_every_parameter_of_the_contract_is_in_the_card(
    tmp_path: Path, network: nn.Module
) -> None:
    odd = PreprocessingContract(shape=(32, 40, 48), spacing_mm=3.0).replace(
        registration={"dof": 12, "levels_mm": (6.0, 3.0)},
        bias_field={"convergence": 0.01, "iterations": (7, 5), "working_voxel_mm": 5.0},
        brain_mask={"method": "synthstrip", "version": "1.8"},
    )
    save_model(tmp_path, network, CARD.replace(contract=odd))
    assert load_model(tmp_path)[1].contract == odd
    stored = json.loads((tmp_path / "model.json").read_text())["contract"]
    assert stored == odd.model_dump(mode="json")
    assert stored["bias_field"]["convergence"] == 0.01


def test_a_card_that_is_no_json_is_explained(
    tmp_path: Path, network: nn.Module
) -> None:
    save_model(tmp_path, network, CARD)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(CheckpointError, match="Cannot read the model card"):
        load_model(tmp_path)


def test_weights_of_another_network_are_listed(
    tmp_path: Path, network: nn.Module
) -> None:
    other = Part.parse(TOY.model_dump() | {"options": {"init_features": 8}})
    save_model(tmp_path, network, CARD.replace(backbone=other.model_dump()))
    with pytest.raises(CheckpointError, match=r"missing.*of another shape \("):
        load_model(tmp_path)


def test_the_cohort_is_counted_and_nobody_named() -> None:
    rows = [
        ("sub-a", "train", {"age": "50", "sex": "F", "site": "x"}),
        ("sub-a", "train", {"age": "50", "sex": "F", "site": "x"}),
        ("sub-b", "train", {"age": "70", "sex": "M", "site": "y"}),
        ("sub-c", "test", {"age": "n/a"}),
    ]
    summary = summarise_cohort(rows)
    assert summary.scans == {"train": 3, "test": 1}
    assert summary.participants == {"train": 2, "test": 1}
    assert (summary.age_mean, summary.age_range) == (60.0, (50.0, 70.0))
    assert summary.sexes == {"F": 1, "M": 1}
    assert summary.split_of("sub-b") == "train"
    assert summary.split_of("b") == "train"
    assert summary.split_of("sub-d") is None
    assert "sub-b" not in summary.to_yaml()
    assert summarise_cohort(rows).salt != summary.salt
    assert hash_participant("sub-b", "1") != hash_participant("sub-b", "2")
