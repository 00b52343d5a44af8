"""The output of a network for numbers is right on average where it was trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import torch

from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.progress import silent
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.weights.model_file import load_model

DENSE = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def test_training_errors_have_no_mean_and_the_model_says_the_same(
    derivatives: Path, tmp_path: Path
) -> None:
    values = {"cohort": derivatives, "output": tmp_path, "task": "brain_age"}
    values |= {"backbone": DENSE, "epochs": 3, "device": "cpu", "threads": 1}
    finetune(FinetuneConfig.parse(values | {"baselines": False}), silent)
    with (tmp_path / "predictions.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    errors = [
        float(row["prediction"]) - float(row["label"])
        for row in rows
        if row["split"] == "train"
    ]
    assert abs(np.mean(errors)) < 0.01
    taken = json.loads((tmp_path / "metrics.json").read_text())["offset_taken_off"]
    assert taken != 0
    # The file holds the shifted network, not only the table the shifted numbers.
    network, card = load_model(tmp_path / "model.safetensors")
    name = rows[0]["participant_id"]
    (path,) = (derivatives / name).glob("**/*desc-preproc_T1w.nii.gz")
    volume = torch.from_numpy(read_volume(path).data)[None, None].float()
    with torch.no_grad():
        logit = float(network.eval()(volume))
    expected = card.label_mean + card.label_sd * logit
    assert abs(expected - float(rows[0]["prediction"])) < 0.01
