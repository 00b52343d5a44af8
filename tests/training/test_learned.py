"""A network that has learned nothing says so itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.progress import Progress
from napari_neuropretrain.training.finetune import finetune

TOY = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def trained(cohort: Path, output: Path, **changes: Any) -> tuple[str, list[str]]:
    """Return the outcome's sentence, and the warnings about learning."""
    values = {"cohort": cohort, "output": output, "backbone": TOY, "threads": 1}
    values |= {"device": "cpu", "baselines": False, "find_repeats": False}
    said: list[Progress] = []
    outcome = finetune(FinetuneConfig.parse(values | changes), said.append)
    warnings = [one.message for one in said if one.state == "warning"]
    return outcome.message, [one for one in warnings if "next to nothing" in one]


@pytest.mark.parametrize("task", ["ad", "brain_age"])
def test_a_network_that_stood_still_is_told_from_one_that_learned(
    derivatives: Path, tmp_path: Path, task: str
) -> None:
    still = {"task": task, "epochs": 1, "learning_rate": 1e-8}
    message, warnings = trained(derivatives, tmp_path / "still", **still)
    assert len(warnings) == 1
    assert warnings[0] in message
    assert "next to nothing" in (tmp_path / "still" / "report.html").read_text("utf-8")
    loss = json.loads((tmp_path / "still" / "metrics.json").read_text())
    assert loss["training_loss"]["network"] == pytest.approx(
        loss["training_loss"]["constant"], rel=0.03
    )
    learning = {"task": task, "epochs": 12, "learning_rate": 1e-2}
    message, warnings = trained(derivatives, tmp_path / "learned", **learning)
    assert (warnings, "next to nothing" in message) == ([], False)


def test_the_constant_answer_is_the_best_one(derivatives: Path, tmp_path: Path) -> None:
    changes = {"task": "ad", "epochs": 1, "learning_rate": 1e-8}
    trained(derivatives, tmp_path, **changes)
    found = json.loads((tmp_path / "metrics.json").read_text())
    table = (tmp_path / "predictions.tsv").read_text().splitlines()
    rows = csv.DictReader(table, delimiter="\t")
    groups = [row["label"] == "AD" for row in rows if row["split"] == "train"]
    share = np.mean(groups)
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert found["training_loss"]["constant"] == pytest.approx(entropy, rel=1e-5)


def test_shuffled_labels_need_not_be_learned(derivatives: Path, tmp_path: Path) -> None:
    changes = {"task": "ad", "epochs": 1, "learning_rate": 1e-8}
    _, warnings = trained(derivatives, tmp_path, shuffle_labels=True, **changes)
    assert warnings == []
