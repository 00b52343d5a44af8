"""Pre-training end to end at toy size, and fine-tuning from what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from napari_neuropretrain.config.evaluation import SplitConfig
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.data.split_files import read_splits
from napari_neuropretrain.errors import (
    Cancelled,
    CohortError,
    ConfigError,
    LeakageError,
)
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.collapse import feature_rank, feature_spread
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.pretrain import pretrain
from napari_neuropretrain.training.split import split
from napari_neuropretrain.weights.encoder_file import load_encoder
from napari_neuropretrain.weights.model_file import load_model

DENSE = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}
NIT = {"name": "nit", "dim": 24, "layers": 2, "heads": 2, "dim_head": 6, "mlp_dim": 20}
SWIN = {
    "name": "swin_t",
    "embed_dim": 8,
    "depths": [2, 2],
    "heads": [2, 4],
    "window": [4, 3, 3],
    "mlp_ratio": 2,
}
SMALL = {"projector": [16, 8]}


def settings(cohort: Path, output: Path, **changes: Any) -> PretrainConfig:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "backbone": DENSE}
    values |= {"epochs": 2, "batch_size": 6, "device": "cpu", "threads": 1}
    values |= {"learning_rate": 1e-3, "method": {"name": "simclr", **SMALL}}
    return PretrainConfig.parse(values | changes)


@pytest.mark.parametrize(
    ("method", "backbone"),
    [
        ({"name": "y_aware", **SMALL}, DENSE),
        ({"name": "supervised"}, DENSE),
        ({"name": "mae", "decoder_width": 24, "decoder_heads": 2}, NIT),
        ({"name": "simmim", "block": 16}, SWIN),
    ],
    ids=["y_aware", "supervised", "mae", "simmim"],
)
def test_finetuning_takes_all_of_the_encoder(
    method: dict[str, Any], backbone: dict[str, Any], derivatives: Path, tmp_path: Path
) -> None:
    said: list[Progress] = []
    config = settings(derivatives, tmp_path / "a", method=method, backbone=backbone)
    outcome = pretrain(config, said.append)
    assert outcome.failures == ()
    epochs = [one.values for one in said if one.state == "epoch"]
    assert [one["epoch"] for one in epochs] == [1, 2]
    assert all(one["feature_rank"] >= 1 for one in epochs)
    tensors, card = load_encoder(Path(outcome.results["encoder"]))
    head = "class_layers.out" if backbone is DENSE else "head."
    assert not [name for name in tensors if name.startswith(head)]
    splits = read_splits(tmp_path / "a" / "splits.tsv")
    assert {key: card.cohort.split_of(key) for key in splits} == splits
    assert set(splits.values()) == {"train", "validation"}
    assert card.training["method"]["name"] == method["name"]
    assert card.contract is not None
    assert card.contract.shape == (32, 32, 32)
    heard: list[Progress] = []
    values = {"cohort": derivatives, "output": tmp_path / "b", "backbone": backbone}
    values |= {"epochs": 1, "task": "ad", "device": "cpu", "threads": 1}
    values |= {"initial_weights": str(tmp_path / "a")}  # the run folder
    with pytest.raises(LeakageError, match="4 of 4 participants of the test part"):
        finetune(FinetuneConfig.parse(values), silent)
    finetune(FinetuneConfig.parse(values | {"allow_leakage": True}), heard.append)
    _, model = load_model(tmp_path / "b")
    assert model.earlier_cohorts == (card.cohort,)
    told = [one.message for one in heard if "Initial weights from" in one.message]
    assert len(told) == 1
    assert "100" in told[0]
    assert not [one for one in heard if "random" in one.message]


def test_the_test_of_a_split_file_is_left_out(
    derivatives: Path, tmp_path: Path
) -> None:
    """Pre-training and fine-tuning by one file: no leak, and no setting for it."""
    values = {"cohort": derivatives, "output": tmp_path / "s", "folds": 5}
    values |= {"label": "diagnosis"}
    file = split(SplitConfig.parse(values), silent).results["splits"]
    config = settings(derivatives, tmp_path / "a", splits=file, fold=2, epochs=1)
    pretrain(config, silent)
    seen = read_splits(tmp_path / "a" / "splits.tsv")
    parts = read_splits(file, 2)
    assert set(seen) == {key for key, part in parts.items() if part != "test"}
    shared = {"cohort": derivatives, "backbone": DENSE, "epochs": 1, "task": "ad"}
    shared |= {"initial_weights": str(tmp_path / "a"), "device": "cpu", "threads": 1}
    again = shared | {"output": tmp_path / "b", "splits": file, "fold": 2}
    finetune(FinetuneConfig.parse(again), silent)
    other = shared | {"output": tmp_path / "c", "splits": file, "fold": 3}
    with pytest.raises(LeakageError, match="participants of the test part"):
        finetune(FinetuneConfig.parse(other), silent)


@pytest.mark.parametrize("method", ["vicreg", "barlow_twins", "reconstruction"])
def test_the_other_methods_run(method: str, derivatives: Path, tmp_path: Path) -> None:
    chosen = {"name": method} | ({} if method == "reconstruction" else SMALL)
    said: list[Progress] = []
    pretrain(settings(derivatives, tmp_path, method=chosen, epochs=1), said.append)
    (epoch,) = [one.values for one in said if one.state == "epoch"]
    assert epoch["loss"] > 0
    assert (tmp_path / "encoder.safetensors").is_file()
    if method == "vicreg":
        assert epoch["validation_variance"] > 0


def test_supervised_pretraining_learns_the_label(
    derivatives: Path, tmp_path: Path
) -> None:
    method = {"name": "supervised", "label": "age", "kind": "regression"}
    said: list[Progress] = []
    config = settings(
        derivatives, tmp_path, method=method, epochs=15, learning_rate=1e-2
    )
    pretrain(config, said.append)
    epochs = [one.values for one in said if one.state == "epoch"]
    # In years; the mean absolute deviation of ages from 40 to 78 is 10.
    assert min(one["validation_mae"] for one in epochs) < 8
    assert epochs[-1]["loss"] < 0.7 * epochs[0]["loss"]


def test_stopped_and_started_again_is_the_same(
    derivatives: Path, tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.state == "epoch" and progress.step == 1:
            raise Cancelled("enough")

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    pretrain(settings(derivatives, whole), silent)
    with pytest.raises(Cancelled):
        pretrain(settings(derivatives, broken), stop)
    pretrain(settings(derivatives, broken), silent)
    first, _ = load_encoder(whole / "encoder.safetensors")
    second, _ = load_encoder(broken / "encoder.safetensors")
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_an_impossible_pair_is_said_before_any_work(tmp_path: Path) -> None:
    config = settings(tmp_path / "nothing", tmp_path / "run", method="mae")
    with pytest.raises(ConfigError, match="mae does not work with DenseNet"):
        pretrain(config, silent)
    assert not (tmp_path / "run").exists()


def test_a_missing_column_is_named(derivatives: Path, tmp_path: Path) -> None:
    method = {"name": "y_aware", "label": "weight"}
    with pytest.raises(CohortError, match="no column 'weight'"):
        pretrain(settings(derivatives, tmp_path, method=method), silent)


def test_collapse_is_seen() -> None:
    torch.manual_seed(0)
    spread_out = torch.randn(200, 10)
    assert feature_spread(spread_out) == pytest.approx(1, abs=0.05)
    assert feature_rank(spread_out) == pytest.approx(10, abs=0.3)
    one_direction = torch.randn(200, 1) * torch.ones(1, 10)
    assert feature_rank(one_direction) == pytest.approx(1, abs=1e-3)
    assert feature_spread(torch.ones(5, 10)) == 0
