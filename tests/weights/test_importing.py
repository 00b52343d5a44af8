"""Checkpoints of others come in whole, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from napari_neuropretrain.config.catalog import BACKBONES
from napari_neuropretrain.config.pulled import cached_file
from napari_neuropretrain.config.weights import ImportConfig
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.weights.cache import PulledRecord, write_record
from napari_neuropretrain.weights.checkpoint_files import hash_file
from napari_neuropretrain.weights.importing import import_weights
from napari_neuropretrain.weights.initial import load_initial_weights
from napari_neuropretrain.weights.reshaping import unfold_patches


def build(foreign: Any, **changes: Any) -> nn.Module:
    entry = BACKBONES[foreign.backbone]
    torch.manual_seed(1)
    options = entry.options.parse(foreign.options | changes)
    network: nn.Module = entry.load()(options)
    return network


def settings(foreign: Any, file: Path, **changes: Any) -> ImportConfig:
    values = {
        "file": file,
        "output": file.with_name("encoder.safetensors"),
        "importer": foreign.importer,
        "backbone": foreign.backbone,
        "options": yaml.safe_dump(foreign.options),
        **changes,
    }
    return ImportConfig.parse(values)


def expected_of(foreign: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What each tensor of ours must be, without any of the importer's code."""
    expected = {}
    for name, ours, _ in foreign.rows:
        if ours is None:
            continue
        tensor = state[foreign.prefix + name]
        if name.endswith("patch_embed.proj.weight"):
            tensor = tensor[:, 0:1] + tensor[:, 1:2] + tensor[:, 2:3]
        if name.endswith("patch_embeddings.1.weight"):
            tensor = unfold_patches(tensor, (8, 8, 8))
        expected[ours] = tensor
    return expected


def test_every_tensor_lands_where_it_must(foreign: Any, tmp_path: Path) -> None:
    file = foreign.save(tmp_path / "theirs.pth")
    heard: list[Progress] = []
    outcome = import_weights(settings(foreign, file), heard.append)
    network, before = build(foreign), build(foreign).state_dict()
    coverage = load_initial_weights(network, outcome.results["encoder"], silent)
    expected = expected_of(foreign, foreign.state())
    own = network.state_dict()
    assert len(expected) > 10
    for name, tensor in expected.items():
        assert torch.allclose(own[name].to(tensor.dtype), tensor, atol=1e-5), name
    others = own.keys() - expected.keys()
    for name in others:  # the head, what is rebuilt, and what the file lacks
        assert torch.equal(own[name], before[name]), name
    card = json.loads((tmp_path / "encoder.json").read_text())
    assert tuple(card["coverage"]["fresh"]) == foreign.fresh
    assert set(coverage.missing) | set(coverage.fresh) == set(foreign.fresh)
    assert not any(one.state == "warning" for one in heard)


def test_the_card_tells_where_it_is_from(foreign: Any, tmp_path: Path) -> None:
    file = foreign.save(tmp_path / "theirs.pth")
    import_weights(settings(foreign, file, licence="MIT", source="a lab"), silent)
    card = json.loads((tmp_path / "encoder.json").read_text())
    assert card["format"] == "napari-neuropretrain encoder"
    assert card["backbone"]["name"] == foreign.backbone
    assert (card["licence"], card["source"]) == ("MIT", "a lab")
    assert len(card["source_sha256"]) == 64
    coverage = card["coverage"]
    dropped = {foreign.prefix + name for name, ours, _ in foreign.rows if not ours}
    assert set(coverage["dropped"]) == dropped
    assert coverage["unexpected"] == []
    found = " ".join(coverage["notes"])
    assert foreign.wrapper in found
    assert foreign.prefix in found
    if foreign.backbone == "swin_t":
        reshaped = coverage["reshaped"]["patch_embed.proj.weight"]
        assert reshaped == "3 input channels summed to 1"


def test_the_importer_is_found_by_itself(toys: dict[str, Any], tmp_path: Path) -> None:
    for kind in ("yaware_densenet", "mmaction2", "resenc_l"):
        foreign = toys[kind]
        file = foreign.save(tmp_path / f"{kind}.pth")
        config = settings(foreign, file, importer="auto", overwrite=True)
        outcome = import_weights(config, silent)
        assert f"importer '{foreign.importer}'" in outcome.message


@pytest.mark.parametrize("damage", ["renamed", "missing", "reshaped"])
def test_a_file_that_does_not_fit_is_refused_with_the_names(
    foreign: Any, tmp_path: Path, damage: str
) -> None:
    state = foreign.state()
    # Every second tensor that counts.
    names = [foreign.prefix + name for name, ours, _ in foreign.rows if ours][::2]
    for name in names:
        tensor = state.pop(name)
        if damage == "renamed":
            state[name.replace(".", "_")] = tensor
        if damage == "reshaped":
            state[name] = torch.zeros(*tensor.shape, 2)
    file = foreign.save(tmp_path / "theirs.pth", state)
    with pytest.raises(CheckpointError) as caught:
        import_weights(settings(foreign, file), silent)
    text = str(caught.value)
    assert "does not fit the network" in text
    assert "at least 95% of both are needed" in text
    kinds = {"renamed": "unexpected", "missing": "missing", "reshaped": "another shape"}
    assert kinds[damage] in text
    first = next(ours for name, ours, _ in foreign.rows if ours)
    shown = {"renamed": names[0].replace(".", "_"), "missing": first, "reshaped": first}
    assert shown[damage] in text
    assert list(tmp_path.iterdir()) == [file]  # nothing was written


def test_one_lost_tensor_is_a_warning_with_its_name(
    toys: dict[str, Any], tmp_path: Path
) -> None:
    foreign = toys["monai_densenet"]
    state = foreign.state()
    del state["features.denseblock2.denselayer1.layers.norm1.bias"]
    file = foreign.save(tmp_path / "theirs.pth", state)
    heard: list[Progress] = []
    import_weights(settings(foreign, file), heard.append)
    warned = [one.message for one in heard if one.state == "warning"]
    assert len(warned) == 1
    assert "features.denseblock2.denselayer1.layers.norm1.bias" in warned[0]
    assert "start at random" in warned[0]
    with pytest.raises(CheckpointError, match="at least 100%"):
        import_weights(settings(foreign, file, threshold=1, overwrite=True), silent)


def test_another_window_interpolates_every_table(
    toys: dict[str, Any], tmp_path: Path
) -> None:
    foreign = toys["torchvision_swin"]
    file = foreign.save(tmp_path / "theirs.pth")
    options = yaml.safe_dump(foreign.options | {"window": [3, 3, 3]})
    import_weights(settings(foreign, file, options=options), silent)
    card = json.loads((tmp_path / "encoder.json").read_text())
    reshaped = card["coverage"]["reshaped"]
    tables = {name for name in reshaped if name.endswith("bias_table")}
    assert len(tables) == 3
    assert "from window (2, 3, 3) to (3, 3, 3)" in reshaped[tables.pop()]
    # And once more on the way into a network of yet another window.
    network = build(foreign, window=[2, 2, 2])
    encoder = str(tmp_path / "encoder.safetensors")
    coverage = load_initial_weights(network, encoder, silent)
    assert any("from window (3, 3, 3)" in how for how in coverage.reshaped.values())
    assert coverage.fraction == 1


def test_a_turned_window_of_the_same_size_is_noticed(
    toys: dict[str, Any], tmp_path: Path
) -> None:
    foreign = toys["torchvision_swin"]
    import_weights(settings(foreign, foreign.save(tmp_path / "theirs.pth")), silent)
    network = build(foreign, window=[3, 3, 2])  # as many entries as (2, 3, 3)
    encoder = str(tmp_path / "encoder.safetensors")
    coverage = load_initial_weights(network, encoder, silent)
    assert len(coverage.reshaped) == 3


def test_positions_follow_the_shape_of_the_volumes(
    toys: dict[str, Any], tmp_path: Path
) -> None:
    foreign = toys["brainiac"]
    file = foreign.save(tmp_path / "theirs.ckpt")
    import_weights(settings(foreign, file), silent)
    network = build(foreign, shape="24x16x32")
    encoder = str(tmp_path / "encoder.safetensors")
    coverage = load_initial_weights(network, encoder, silent)
    how = coverage.reshaped["patch_embedding.position_embeddings"]
    assert how == "position embeddings interpolated from (2, 2, 2) to (3, 2, 4) tokens"
    assert network(torch.zeros(1, 1, 24, 16, 32)).shape == (1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"importer": "torchvison_swin"}, "Did you mean 'torchvision_swin'"),
        ({"backbone": "swin"}, "Unknown backbone 'swin'"),
        ({"options": "{windw: 3}"}, "windw"),
        ({"options": "3"}, "give {name: value}"),
        ({"options": "{a: 1}", "backbone": ""}, "name the backbone"),
        ({"output": "encoder.pt"}, r"must end in \.safetensors"),
    ],
)
def test_wrong_settings_are_named(
    toys: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    foreign = toys["sfcn"]
    file = foreign.save(tmp_path / "theirs.p")
    with pytest.raises(ConfigError, match=message):
        import_weights(settings(foreign, file, **change), silent)


def test_an_existing_output_stays(toys: dict[str, Any], tmp_path: Path) -> None:
    foreign = toys["sfcn"]
    config = settings(foreign, foreign.save(tmp_path / "theirs.p"))
    import_weights(config, silent)
    with pytest.raises(ConfigError, match=r"exists\. Add --overwrite"):
        import_weights(config, silent)


def test_a_file_of_something_else_fits_nothing(
    toys: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "other.pt"
    torch.save({"encoder": {"layer.weight": torch.ones(3)}}, file)
    config = settings(toys["sfcn"], file, importer="auto", backbone="", options="")
    with pytest.raises(CheckpointError, match="fits none of the backbones"):
        import_weights(config, silent)


def test_pulled_weights_are_imported_by_name_with_their_licence(
    toys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path))
    foreign, known = toys["brainiac"], KNOWN_WEIGHTS["brainiac"]
    output = tmp_path / "encoder.safetensors"
    given = settings(foreign, Path("brainiac"), output=output, importer="auto")
    with pytest.raises(CheckpointError, match="weights pull brainiac"):
        import_weights(given, silent)
    file = cached_file(known)
    file.parent.mkdir()
    foreign.save(file)
    write_record(known, PulledRecord(known.name, hash_file(file), "", True))
    heard: list[Progress] = []
    import_weights(given, heard.append)
    assert "CC-BY-NC-4.0" in heard[0].message
    card = json.loads(output.with_suffix(".json").read_text())
    assert (card["known_as"], card["importer"]) == ("brainiac", "brainiac")
    assert card["licence"] == known.licence
    assert card["preprocessing"] == known.preprocessing
    # The same file by its path asks for consent again.
    by_path = settings(foreign, file, output=output, overwrite=True)
    with pytest.raises(ConfigError, match="--accept-licence"):
        import_weights(by_path, silent)
