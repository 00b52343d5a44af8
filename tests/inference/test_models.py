"""Folders of models: ensembles, one preprocessing for all, and older files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist, fmean, stdev
from typing import Any

import pytest
import torch
from torch import nn

from napari_neuropretrain.config.jobs import PredictConfig
from napari_neuropretrain.data.model_cards import find_models
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.inference import predict as predicting
from napari_neuropretrain.inference.models import group_models, read_models
from napari_neuropretrain.inference.predict import predict
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.weights.model_card import ModelCard, Part
from napari_neuropretrain.weights.model_file import load_model, save_model
from napari_neuropretrain.weights.reference import Reference, intensity_profile

Writer = Callable[..., Path]


def add_fold(folder: Path, model: Path, shift: float) -> Path:
    """Write a copy of a model that says `shift` more, in units of its output."""
    network, card = load_model(model)
    for layer in reversed(list(network.modules())):
        if isinstance(layer, nn.Linear):
            with torch.no_grad():
                layer.bias.add_(shift)
            break
    return save_model(folder, network, card).parent


def ask(models: Path, scans: Path, output: Path, **more: Any) -> dict[str, Any]:
    values = {"model": models, "input": scans, "output": output, "threads": 1}
    config = PredictConfig.parse(values | {"device": "cpu"} | more)
    predict(config, silent)
    found: dict[str, Any] = json.loads((output / "predictions.json").read_text())
    return found


def test_a_folder_is_searched_and_checkpoints_are_not(
    tmp_path: Path, age_model: Path, ad_model: Path
) -> None:
    add_fold(age_model / "checkpoints", age_model, 0.0)
    (tmp_path / "ad" / "notes.json").write_text("{}")
    found = find_models(tmp_path)
    assert [path.parent.name for path in found] == ["ad", "age"]
    assert find_models(age_model) == [age_model / "model.safetensors"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CheckpointError, match=r"holds no model\.safetensors"):
        read_models([tmp_path / "nothing"], silent)


def test_every_model_of_a_folder_answers_and_scans_are_prepared_once(
    tmp_path: Path,
    age_model: Path,
    ad_model: Path,
    write_volume: Writer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan = write_volume(tmp_path / "scans", "sub-7", 0)
    prepared = []
    real = predicting.prepare_cohort

    def count(*given: Any) -> Any:
        prepared.append(given[1])
        return real(*given)

    monkeypatch.setattr(predicting, "prepare_cohort", count)
    found = ask(tmp_path, scan, tmp_path / "out", samples=3)
    assert len(prepared) == 1
    assert [one["name"] for one in found["models"]] == ["ad", "age"]
    assert found["use"].startswith("For research use only.")
    ad, age = found["predictions"]
    assert ad["spread"]["kind"] == age["spread"]["kind"] == "tta"
    assert age["samples"] == 3
    assert ad["spread"]["low"] < ad["prediction"] < ad["spread"]["high"]
    # Changed in the same ways again.
    again = ask(tmp_path, scan, tmp_path / "again", samples=3)
    assert again["predictions"][1]["spread"] == age["spread"]


def test_folds_are_an_ensemble(
    tmp_path: Path, age_model: Path, write_volume: Writer
) -> None:
    scan = write_volume(tmp_path / "scans", "sub-7", 0)
    models = tmp_path / "models"
    for number, shift in enumerate((0.0, 0.1, 0.5)):
        add_fold(models / f"fold-{number}", age_model, shift)
    (one,) = ask(models, scan, tmp_path / "out")["predictions"]
    network, _ = load_model(age_model)
    with torch.inference_mode():
        image = torch.from_numpy(read_derivative(scan).image)[None, None]
        plain = 60 + 10 * float(network(image))
    members = [plain, plain + 1, plain + 5]
    assert one["model"] == "brain_age (3 models)"
    assert one["prediction"] == pytest.approx(fmean(members), rel=1e-4)
    reach = NormalDist().inv_cdf(0.95) * stdev(members)
    assert one["spread"]["high"] == pytest.approx(fmean(members) + reach, rel=1e-4)
    alone = ask(models, scan, tmp_path / "alone", uncertainty="none")["predictions"]
    assert [each["model"] for each in alone] == ["fold-0", "fold-1", "fold-2"]
    assert [each["prediction"] for each in alone] == pytest.approx(members, rel=1e-4)
    assert alone[0]["interval"] is None


def test_several_folders_and_what_a_model_lacks(
    tmp_path: Path, age_model: Path, ad_model: Path, write_volume: Writer
) -> None:
    scan = write_volume(tmp_path / "scans", "sub-7", 0)
    said: list[Progress] = []
    values = {"model": age_model, "more_models": str(ad_model), "input": scan}
    values |= {"output": tmp_path / "out", "uncertainty": "dropout", "device": "cpu"}
    predict(PredictConfig.parse(values), said.append)
    warnings = [one.message for one in said if one.state == "warning"]
    assert len(warnings) == 2
    assert "no interval by dropout, since the network has no dropout" in warnings[0]
    assert "ensemble" not in warnings[0]


def test_dropout_is_used_where_there_is_any(
    tmp_path: Path, age_model: Path, write_volume: Writer
) -> None:
    scan = write_volume(tmp_path / "scans", "sub-7", 0)
    _, card = load_model(age_model)
    options = card.backbone.options | {"dropout": 0.3}
    part = Part(catalog="backbones", name="tiny_densenet", options=options)
    network: nn.Module = part.build()
    model = save_model(tmp_path / "drop", network, card.replace(backbone=part)).parent
    (one,) = ask(model, scan, tmp_path / "out", samples=4)["predictions"]
    assert one["spread"]["kind"] == "dropout"
    assert one["spread"]["high"] > one["spread"]["low"]


def test_calibration_percentile_and_age_of_one_scan(
    tmp_path: Path, age_model: Path, write_volume: Writer
) -> None:
    scan = write_volume(tmp_path / "scans", "sub-7", 0)
    network, card = load_model(age_model)
    profile = intensity_profile(read_derivative(scan).image)
    known = Reference(
        outputs={"all": tuple(range(100))},
        labels=(0.0, 100.0),
        residuals=tuple(range(1, 20)),
        profile=tuple(profile + 1),
        profile_distances=(0.1,) * 8,
    )
    cohort = card.cohort.replace(age_range=(20, 40), age_mean=30, sexes={"F": 3})
    model = tmp_path / "known"
    save_model(model, network, card.replace(reference=known, cohort=cohort))
    found = ask(model, scan, tmp_path / "out", age=41, sex="M", uncertainty="none")
    (one,) = found["predictions"]
    assert one["interval"]["low"] == pytest.approx(one["prediction"] - 18)
    assert one["interval"]["kind"] == "conformal"
    assert one["percentile"] == pytest.approx(one["prediction"], abs=1.0)
    kinds = [doubt["kind"] for doubt in one["warnings"]]
    assert kinds == ["age", "sex", "intensity"]
    (notes,) = found["models"]
    assert notes["validation_scans"] == 19
    assert "Input it needs (contract)" in notes["card"]
    # A participants.tsv above the scan is read where nothing is given.
    table = "participant_id\tage\tsex\nsub-7\t30\tF\n"
    (tmp_path / "scans" / "participants.tsv").write_text(table)
    (again,) = ask(model, scan, tmp_path / "again")["predictions"]
    assert [doubt["kind"] for doubt in again["warnings"]] == ["intensity"]


def test_an_older_run_folder_has_its_table(tmp_path: Path, age_model: Path) -> None:
    card = json.loads((age_model / "model.json").read_text())
    del card["reference"]  # as files were before
    (age_model / "model.json").write_text(json.dumps(card))
    (one,) = read_models([age_model], silent)
    assert one.reference == Reference()
    table = "participant_id\tsplit\tlabel\tprediction\nsub-1\ttrain\t50\t53\n"
    table += "sub-2\tvalidation\t60\t58\nsub-3\ttest\t70\t10\n"
    (age_model / "predictions.tsv").write_text(table)
    (one,) = read_models([age_model], silent)
    assert one.reference.outputs == {"all": (53.0,)}
    assert one.reference.labels == (50.0,)
    assert one.reference.residuals == (2.0,)


def test_models_of_other_labels_are_no_ensemble(
    tmp_path: Path, age_model: Path
) -> None:
    network, card = load_model(age_model)
    other: ModelCard = card.replace(label="age_at_onset")
    save_model(tmp_path / "other", network, other)
    models = read_models([age_model, tmp_path / "other"], silent)
    assert len(group_models(models, together=True)) == 2
    assert len(group_models([models[0]] * 2, together=True)) == 1
