"""The whole job at toy size: it learns, keeps its promises, and can be stopped."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.split_files import hash_splits, read_splits
from napari_neuropretrain.errors import Cancelled, CohortError, DeviceError
from napari_neuropretrain.evaluation.metrics import youden_threshold
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.weights.card_text import describe_model
from napari_neuropretrain.weights.model_file import load_model

TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def toy_config(cohort: Path, output: Path, **changes: Any) -> FinetuneConfig:
    values = {"cohort": cohort, "output": output, "backbone": TOY, "threads": 1}
    values |= {"epochs": 12, "learning_rate": 1e-2, "task": "ad", "device": "cpu"}
    return FinetuneConfig.parse(values | changes)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def ad_run(
    derivatives: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Progress]]:
    """A finished training on two groups, and what it said."""
    output, said = tmp_path_factory.mktemp("ad"), []
    outcome = finetune(toy_config(derivatives, output), said.append)
    assert outcome.failures == ()
    assert Path(outcome.results["model"]) == output / "model.safetensors"
    return output, said


def test_the_loss_falls_and_the_groups_part(
    ad_run: tuple[Path, list[Progress]],
) -> None:
    output, said = ad_run
    epochs = [one.values for one in said if one.state == "epoch"]
    assert [one["epoch"] for one in epochs] == list(range(1, len(epochs) + 1))
    assert epochs[0]["loss"] == pytest.approx(np.log(2), abs=0.15)
    assert min(one["loss"] for one in epochs) < 0.6 * epochs[0]["loss"]
    # Validation in evaluation mode is sane from the first epoch on.
    assert epochs[0]["validation_loss"] < 1.0
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["test"]["roc_auc"] == 1.0
    assert metrics["baseline"]["roc_auc"] == 0.5


def test_nobody_is_in_two_splits(ad_run: tuple[Path, list[Progress]]) -> None:
    output, _ = ad_run
    splits = read_splits(output / "splits.tsv")
    assert len(splits) == 20
    rows = read_rows(output / "predictions.tsv")
    assert {row["participant_id"]: row["split"] for row in rows} == splits
    for part in ("train", "validation", "test"):
        groups = {row["label"] for row in rows if row["split"] == part}
        assert groups == {"AD", "CN"}, part


def test_the_threshold_comes_from_validation_only(
    ad_run: tuple[Path, list[Progress]],
) -> None:
    output, _ = ad_run
    rows = read_rows(output / "predictions.tsv")
    chosen = [row for row in rows if row["split"] == "validation"]
    scores = [float(row["prediction"]) for row in chosen]
    labels = [row["label"] == "AD" for row in chosen]
    _, card = load_model(output)
    assert card.threshold == pytest.approx(youden_threshold(scores, labels), rel=1e-4)
    metrics = json.loads((output / "metrics.json").read_text())
    assert {metrics[part]["threshold"] for part in ("validation", "test")} == {
        card.threshold
    }
    for row in rows:
        called = "AD" if float(row["prediction"]) >= card.threshold else "CN"
        assert row["predicted_label"] == called


def test_the_card_says_who_and_how(ad_run: tuple[Path, list[Progress]]) -> None:
    output, _ = ad_run
    _, card = load_model(output)
    assert card.contract.shape == (32, 32, 32)
    assert sum(card.cohort.participants.values()) == 20
    assert card.cohort.sites == {"A": card.cohort.participants["train"]}
    splits = read_splits(output / "splits.tsv")
    assert {key: card.cohort.split_of(key) for key in splits} == splits
    assert "sub-00" not in (output / "model.json").read_text()
    best = json.loads((output / "checkpoints" / "best.json").read_text())
    assert card.training["best_epoch"] == best["epoch"]


def test_the_test_has_intervals_and_its_rows_age_sex_and_site(
    ad_run: tuple[Path, list[Progress]],
) -> None:
    output, _ = ad_run
    test = json.loads((output / "metrics.json").read_text())["test"]
    assert test["n_participants"] == test["n"] == 4
    assert set(test["intervals"]) >= {"roc_auc", "brier", "f1"}
    low, high = test["intervals"]["brier"]
    assert low < test["brier"] < high
    assert 0 < test["p_chance"] <= 1
    _, card = load_model(output)
    assert card.metrics["test"]["intervals"] == test["intervals"]
    said = describe_model(card)
    assert f"brier {test['brier']:.4g} ({low:.4g} to {high:.4g})" in said
    row = read_rows(output / "predictions.tsv")[0]
    number = int(row["participant_id"][-2:])
    assert (row["age"], row["site"]) == (str(40 + 2 * number), "A")


def test_baselines_are_judged_on_the_same_people(
    ad_run: tuple[Path, list[Progress]],
) -> None:
    output, said = ad_run
    metrics = json.loads((output / "metrics.json").read_text())
    assert list(metrics["baselines"]) == ["logistic_voxels"]
    found = metrics["baselines"]["logistic_voxels"]
    assert found["n"] == metrics["test"]["n"]
    assert found["roc_auc"] == 1.0  # the planted signal is linear
    rows = read_rows(output / "baselines" / "logistic_voxels" / "predictions.tsv")
    own = read_rows(output / "predictions.tsv")
    for name in ("participant_id", "split", "label"):
        assert [row[name] for row in rows] == [row[name] for row in own]
    (verdict,) = [
        one.message
        for one in said
        if "Baseline logistic_voxels: ROC-AUC" in one.message
    ]
    assert "cannot be told apart" in verdict


def test_the_card_cites_the_division(ad_run: tuple[Path, list[Progress]]) -> None:
    output, _ = ad_run
    _, card = load_model(output)
    cited = card.training["splits"]
    assert cited["sha256"] == hash_splits(read_splits(output / "splits.tsv"))
    assert json.loads((output / "metrics.json").read_text())["splits"] == cited


def test_shuffled_labels_come_out_at_chance(derivatives: Path, tmp_path: Path) -> None:
    config = toy_config(derivatives, tmp_path, shuffle_labels=True, epochs=6)
    outcome = finetune(config, silent)
    assert "The labels were shuffled, and the test is at chance" in outcome.message
    _, card = load_model(tmp_path)
    assert card.training["shuffle_labels"] is True


def test_the_same_seed_gives_the_same_model(derivatives: Path, tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        config = toy_config(derivatives, tmp_path / name, epochs=2, seed=3)
        finetune(config, silent)
        runs.append((tmp_path / name / "predictions.tsv").read_text())
    assert runs[0] == runs[1]


def test_age_is_learned_better_than_the_mean(derivatives: Path, tmp_path: Path) -> None:
    config = toy_config(derivatives, tmp_path, task="brain_age", epochs=25)
    finetune(config, silent)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["test"]["mae"] < 0.7 * metrics["baseline"]["mae"]
    _, card = load_model(tmp_path)
    rows = read_rows(tmp_path / "predictions.tsv")
    ages = [float(row["label"]) for row in rows if row["split"] == "train"]
    assert card.label_mean == pytest.approx(np.mean(ages))
    assert card.label_sd == pytest.approx(np.std(ages))


def test_a_stopped_training_keeps_its_best_weights(
    derivatives: Path, tmp_path: Path
) -> None:
    def stop_after_two(progress: Progress) -> None:
        if progress.state == "epoch" and progress.step == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        finetune(toy_config(derivatives, tmp_path), stop_after_two)
    assert (tmp_path / "checkpoints" / "best.safetensors").is_file()
    assert not (tmp_path / "model.safetensors").exists()


def test_initial_weights_fill_all_but_the_head(
    derivatives: Path, tmp_path: Path, ad_run: tuple[Path, list[Progress]]
) -> None:
    before, _ = load_model(ad_run[0])
    weights, changes = str(ad_run[0]), {"task": "sex", "tuning": "top", "epochs": 1}
    changes |= {"allow_leakage": True}
    finetune(
        toy_config(derivatives, tmp_path, initial_weights=weights, **changes), silent
    )
    after, _ = load_model(tmp_path)
    for name, tensor in after.state_dict().items():
        same = torch.equal(tensor, before.state_dict()[name])
        assert same is not name.startswith("class_layers.out."), name


def test_training_stops_when_nothing_improves(
    derivatives: Path, tmp_path: Path
) -> None:
    # At such a rate the validation loss jumps up and down.
    said: list[Progress] = []
    config = toy_config(derivatives, tmp_path, epochs=40, patience=1, learning_rate=0.3)
    finetune(config, said.append)
    assert len([one for one in said if one.state == "epoch"]) < 40


def test_an_absent_gpu_is_said_before_any_work(
    derivatives: Path, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError, match="'cuda:7' is not available"):
        finetune(toy_config(derivatives, tmp_path, device="cuda:7"), silent)


def test_a_missing_column_is_named(derivatives: Path, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no column 'weight'"):
        finetune(toy_config(derivatives, tmp_path, label="weight"), silent)
