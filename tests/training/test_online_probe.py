"""Probes of a pre-training while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.pretrain import pretrain
from napari_neuropretrain.weights.encoder_file import load_encoder

DENSE = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def run(cohort: Path, output: Path, **changes: Any) -> tuple[list[Progress], bytes]:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "backbone": DENSE}
    values |= {"epochs": 3, "batch_size": 5, "validation_fraction": 0.3}
    values |= {"device": "cpu", "threads": 1, "learning_rate": 1e-2}
    values |= {"method": {"name": "supervised", "label": "age", "kind": "regression"}}
    said: list[Progress] = []
    outcome = pretrain(PretrainConfig.parse(values | changes), said.append)
    tensors, _ = load_encoder(Path(outcome.results["encoder"]))
    data = b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))
    return said, data


def test_probes_are_in_the_events_and_change_nothing(
    derivatives: Path, tmp_path: Path
) -> None:
    labels = ["age", "diagnosis", "height"]
    chosen = {"probe_labels": labels, "probe_every": 2}
    said, probed = run(derivatives, tmp_path / "a", **chosen)
    epochs = [one.values for one in said if one.state == "epoch"]
    for values in epochs:
        assert 0 < values["probe_age_mae"] < 20
        assert 0 <= values["probe_diagnosis_auc"] <= 1
        assert not [name for name in values if "height" in name]
    _, plain = run(derivatives, tmp_path / "b", probe="none")
    assert plain == probed


def test_only_some_epochs_have_a_probe(derivatives: Path, tmp_path: Path) -> None:
    said, _ = run(derivatives, tmp_path, probe="knn", probe_every=2, epochs=5)
    epochs = [one.values for one in said if one.state == "epoch"]
    having = [values["epoch"] for values in epochs if "probe_age_mae" in values]
    assert having == [1, 2, 4, 5]


def test_a_source_without_labels_is_said(derivatives: Path, tmp_path: Path) -> None:
    said, _ = run(derivatives, tmp_path, probe_labels=["height"], epochs=1)
    warnings = [one.message for one in said if one.state == "warning"]
    assert [one for one in warnings if "no label of height" in one]
