"""A network starts from an encoder, a model, or known weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.pulled import cached_file
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.weights.cache import PulledRecord, write_record
from napari_neuropretrain.weights.checkpoint_files import hash_file
from napari_neuropretrain.weights.initial import licence_of, load_initial_weights
from napari_neuropretrain.weights.model_card import ModelCard, Part
from napari_neuropretrain.weights.model_file import save_model

TOY = {"init_features": 4, "growth_rate": 4, "block_config": [2, 2]}
MODEL = Part(catalog="backbones", name="tiny_densenet", options=TOY)
CARD = ModelCard(
    backbone=MODEL,
    task=Part(catalog="tasks", name="brain_age"),
    kind="regression",
    label="age",
    unit="years",
    contract=PreprocessingContract(shape=(32, 32, 32)),
    licence="CC-BY-4.0",
)


def build(seed: int, part: Part = MODEL, **arguments: Any) -> nn.Module:
    torch.manual_seed(seed)
    network: nn.Module = part.build(**arguments)
    return network


@pytest.mark.parametrize("form", ["folder", "file", "named"])
def test_a_model_of_ours_gives_all_but_its_head(tmp_path: Path, form: str) -> None:
    theirs = build(0)
    theirs(torch.randn(2, 1, 32, 32, 32))  # moves the running statistics
    saved = tmp_path / "age.safetensors" if form == "named" else tmp_path
    save_model(saved, theirs, CARD)
    source = tmp_path / "model.safetensors" if form == "file" else saved
    network, fresh = build(1, out_features=3), build(1, out_features=3)
    heard: list[Progress] = []
    coverage = load_initial_weights(network, str(source), heard.append)
    assert coverage.fraction == 1
    assert coverage.licence == "CC-BY-4.0"
    assert set(coverage.dropped) == {"class_layers.out.weight", "class_layers.out.bias"}
    for name, tensor in network.state_dict().items():
        head = name.startswith("class_layers.out")
        other = (fresh if head else theirs).state_dict()[name]
        assert torch.equal(tensor, other), name
    told = " ".join(one.message for one in heard)
    assert "licence: CC-BY-4.0" in told
    assert "2 mm, 32 voxels" in told


def test_a_model_of_another_backbone_is_refused_and_nothing_changes(
    tmp_path: Path,
) -> None:
    save_model(tmp_path, build(0), CARD)
    options = {"channels": [2, 3]}
    other = Part(catalog="backbones", name="sfcn", options=options)
    network, same = build(1, other), build(1, other)
    with pytest.raises(CheckpointError, match="does not fit the network"):
        load_initial_weights(network, str(tmp_path), silent)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])


def test_a_deeper_network_is_refused_under_the_threshold(tmp_path: Path) -> None:
    save_model(tmp_path, build(0), CARD)
    deeper = Part.parse(
        MODEL.model_dump() | {"options": TOY | {"block_config": [2, 3]}}
    )
    network = build(1, deeper)
    with pytest.raises(CheckpointError, match=r"missing in the file.*denselayer3"):
        load_initial_weights(network, str(tmp_path), silent)
    heard: list[Progress] = []
    coverage = load_initial_weights(network, str(tmp_path), heard.append, 0.5)
    assert 0.5 < coverage.fraction < 0.95
    assert any(one.state == "warning" for one in heard)


def test_known_weights_are_used_once_pulled(
    toys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path / "cache"))
    foreign, known = toys["sfcn"], KNOWN_WEIGHTS["ukb_sfcn"]
    part = Part(catalog="backbones", name="sfcn", options=foreign.options)
    with pytest.raises(CheckpointError, match="neuropretrain weights pull ukb_sfcn"):
        load_initial_weights(build(0, part), "ukb_sfcn", silent)
    file = cached_file(known)
    file.parent.mkdir(parents=True)
    foreign.save(file)
    write_record(known, PulledRecord(known.name, hash_file(file), "", False))
    heard: list[Progress] = []
    network = build(0, part)
    coverage = load_initial_weights(network, "ukb_sfcn", heard.append)
    assert coverage.fraction == 1
    assert coverage.licence == "MIT"
    assert "intended preprocessing: T1, skull-stripped" in heard[0].message
    name = "feature_extractor.conv_1.0.weight"
    expected = foreign.state()["module." + name]
    assert torch.equal(network.state_dict()[name], expected)
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(CheckpointError, match="changed since it was pulled"):
        load_initial_weights(network, "ukb_sfcn", silent)


def test_sources_that_cannot_be_used_are_explained(
    toys: dict[str, Any], tmp_path: Path
) -> None:
    network = build(0)
    with pytest.raises(CheckpointError, match=r"no initial weights at 'nowhere'.*ukb"):
        load_initial_weights(network, "nowhere", silent)
    foreign = toys["sfcn"].save(tmp_path / "theirs.pth")
    with pytest.raises(CheckpointError, match="neuropretrain weights import"):
        load_initial_weights(network, str(foreign), silent)
    with pytest.raises(CheckpointError, match="no initial weights at"):
        load_initial_weights(network, str(tmp_path), silent)


@pytest.mark.parametrize("change", ["weights", "card"])
def test_a_changed_file_is_noticed(tmp_path: Path, change: str) -> None:
    weights = save_model(tmp_path, build(0), CARD)
    if change == "weights":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    else:
        card = tmp_path / "model.json"
        values = json.loads(card.read_text())
        card.write_text(json.dumps(values | {"sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match="damaged or was exchanged"):
        load_initial_weights(build(1), str(tmp_path), silent)


def test_the_licence_of_the_weights_stays_with_the_model(tmp_path: Path) -> None:
    save_model(tmp_path, build(0), CARD)
    for source in (tmp_path, tmp_path / "model.safetensors"):
        assert licence_of(str(source)) == "of the initial weights: CC-BY-4.0"
    assert "CC-BY-NC-4.0" in licence_of("brainiac")
    assert licence_of("") == licence_of("nowhere") == ""
