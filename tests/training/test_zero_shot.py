"""Models of real trainings, tested on other cohorts."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.config.evaluation import EvaluateConfig, SplitConfig
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.split_files import read_splits
from napari_neuropretrain.errors import ConfigError, LeakageError
from napari_neuropretrain.evaluation.evaluate import evaluate
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.finetune import finetune
from napari_neuropretrain.training.split import split
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import load_model


@pytest.fixture(scope="module")
def ad_run(derivatives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "ours"
    toy = {"name": "tiny_densenet", "init_features": 4, "growth_rate": 4}
    values: dict[str, Any] = {"cohort": derivatives, "output": output, "task": "ad"}
    values |= {"backbone": toy | {"block_config": [2, 2]}, "threads": 1, "epochs": 6}
    values |= {"learning_rate": 1e-2, "device": "cpu"}
    finetune(FinetuneConfig.parse(values), silent)
    return output


@pytest.fixture
def known(ad_run: Path) -> str:
    """Someone the model was trained on."""
    splits = read_splits(ad_run / "splits.tsv")
    return next(key for key, part in splits.items() if part == "train")


@pytest.fixture
def elsewhere(tmp_path: Path, known: str, write_volume: Callable[..., Path]) -> Path:
    """Twelve other people, and one of the training cohort."""
    root = tmp_path / "elsewhere"
    lines = ["participant_id\tage\tsex\tdiagnosis\tsite"]
    for number in range(13):
        name = f"sub-X{number:02d}" if number else known
        ill = number % 2
        write_volume(root, Scan(name, None, Path("x")), 100 + number, 1.5 * ill)
        lines.append(f"{name}\t{50 + number}\tF\t{('CN', 'AD')[ill]}\tB")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


def card_of(folder: Path) -> ModelCard:
    return load_model(folder)[1]


def run(model: Path, output: Path, **changes: Any) -> list[Progress]:
    said: list[Progress] = []
    values = {"model": model, "output": output, "device": "cpu", "threads": 1}
    values |= {"bootstraps": 100, "permutations": 99, **changes}
    evaluate(EvaluateConfig.parse(values), said.append)
    return said


def test_another_cohort_is_tested_as_it_is(
    ad_run: Path, elsewhere: Path, known: str, tmp_path: Path
) -> None:
    said = run(ad_run, tmp_path / "out", cohorts=[str(elsewhere)], seen="leave_out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    found = metrics["models"]["ours"]
    assert set(found) == {"test", "elsewhere"}
    beside = metrics["models"]["ours/logistic_voxels"]
    assert set(beside) == {"test", "elsewhere"}
    assert beside["elsewhere"]["threshold"] == beside["test"]["threshold"]
    assert beside["elsewhere"]["roc_auc"] > 0.9
    expected = card_of(ad_run).metrics["baselines"]["logistic_voxels"]
    assert beside["test"]["brier"] == pytest.approx(expected["brier"], abs=1e-5)
    pairs = {(one["one"], one["other"]) for one in metrics["comparisons"]}
    assert pairs == {("ours", "ours/logistic_voxels")}
    assert found["elsewhere"]["n"] == 12
    card = card_of(ad_run)
    # Frozen: neither cohort has a threshold of its own.
    assert found["elsewhere"]["threshold"] == found["test"]["threshold"]
    assert found["test"]["threshold"] == card.threshold
    assert found["test"]["roc_auc"] == card.metrics["test"]["roc_auc"]
    assert found["elsewhere"]["roc_auc"] > 0.9
    assert any(f"{known}. They are left out" in one.message for one in said)


def test_people_the_model_knows_are_refused(
    ad_run: Path, elsewhere: Path, known: str, tmp_path: Path
) -> None:
    values = {"cohorts": [str(elsewhere)]}
    with pytest.raises(LeakageError, match=rf"from 1 of 13 .*: {known}"):
        run(ad_run, tmp_path / "out", **values)
    said = run(ad_run, tmp_path / "out", seen="allow", **values)
    assert any("tested all the same" in one.message for one in said)


def test_a_division_is_written_for_all_trainings(
    derivatives: Path, tmp_path: Path, write_volume: Callable[..., Path]
) -> None:
    values = {"cohort": derivatives, "output": tmp_path / "a", "label": "diagnosis"}
    outcome = split(SplitConfig.parse(values), silent)
    assert outcome.message == (
        "Divided 20 participants: 4 test, 12 train, 4 validation."
    )
    parts = read_splits(tmp_path / "a" / "splits.tsv")
    with (derivatives / "participants.tsv").open() as stream:
        groups = {
            row["participant_id"]: row["diagnosis"]
            for row in csv.DictReader(stream, delimiter="\t")
        }
    for part in ("test", "validation"):
        mine = [groups[key] for key, one in parts.items() if one == part]
        assert sorted(mine) == ["AD", "AD", "CN", "CN"]
    values |= {"output": tmp_path / "b", "folds": 5}
    outcome = split(SplitConfig.parse(values), silent)
    assert outcome.message.endswith("4 in fold 5.")
    folds = tmp_path / "b" / "splits.tsv"
    tests = [
        set(),
        *(
            {k for k, v in read_splits(folds, f).items() if v == "test"}
            for f in range(1, 6)
        ),
    ]
    assert set().union(*tests) == set(groups)
    with pytest.raises(ConfigError, match="Give at least 3"):
        split(SplitConfig.parse(values | {"folds": 2}), silent)


def test_a_repeated_person_is_kept_together_in_the_file(
    derivatives: Path, tmp_path: Path, write_volume: Callable[..., Path]
) -> None:
    root = tmp_path / "cohort"
    for number in range(20):
        scan = Scan(f"sub-{number:02d}", None, Path("x"))
        write_volume(root, scan, 2 if number == 19 else number, 0, 0.2 * (number == 19))
    shutil.copy(derivatives / "participants.tsv", root)
    for seed in range(3):
        said: list[Progress] = []
        values = {"cohort": root, "output": tmp_path / "o", "seed": seed}
        split(SplitConfig.parse(values), said.append)
        parts = read_splits(tmp_path / "o" / "splits.tsv")
        assert parts["sub-02"] == parts["sub-19"]
        assert "sub-02 and sub-19 show the same brain" in said[-2].message
