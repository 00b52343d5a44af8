"""The page that a training leaves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.runs.execution import execute

TOY: dict[str, Any] = {
    "name": "tiny_densenet",
    "init_features": 4,
    "growth_rate": 4,
    "block_config": [2, 2],
}


def run(job: str, cohort: Path, output: Path, **changes: Any) -> str:
    values: dict[str, Any] = {"cohort": cohort, "output": output, "backbone": TOY}
    values |= {"threads": 1, "epochs": 2, "device": "cpu", **changes}
    execute(JOBS, job, JOBS[job].options.parse(values))
    page = (output / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert f"neuropretrain {job} --cohort {cohort}" in page
    assert "For research use only" in page
    return page


def figures_of(output: Path) -> set[str]:
    return {path.stem for path in (output / "figures").glob("*.svg")}


@pytest.fixture(scope="module")
def encoder(derivatives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("encoder")
    method = {"name": "simclr", "projector": [8, 4]}
    page = run("pretrain", derivatives, output, method=method, batch_size=6)
    assert figures_of(output) == {"training"}
    assert "the best, with a validation loss of" in page
    assert "Of the training: age" in page
    return output


def test_a_training_on_groups(derivatives: Path, encoder: Path, tmp_path: Path) -> None:
    start: dict[str, Any] = {"initial_weights": str(encoder), "learning_rate": 0.01}
    start["allow_leakage"] = True
    page = run("finetune", derivatives, tmp_path, task="ad", **start)
    assert figures_of(tmp_path) == {"training", "roc_test", "calibration_test"}
    assert page.count("data:image/png;base64,") == 3
    assert "logistic_voxels" in page
    assert "cannot be said from one run" in page
    assert "<td>validation</td>" in page
    text = re.sub(r"base64,[^\"]*", "", page)
    assert len(re.findall(r"\b[0-9a-f]{64}\b", text)) == 2


def test_a_training_on_ages_without_linear_models(
    derivatives: Path, tmp_path: Path
) -> None:
    page = run("finetune", derivatives, tmp_path, task="brain_age", baselines=False)
    assert {"training", "predicted_test"} <= figures_of(tmp_path)
    assert "Beside linear models" not in page
    assert "started from random weights" in page
