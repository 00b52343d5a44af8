"""Divisions from files, repeated people and shuffled labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.split_files import write_folds, write_splits
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.errors import ConfigError, LeakageError
from napari_neuropretrain.evaluation import linear_models
from napari_neuropretrain.evaluation.metrics import roc_auc
from napari_neuropretrain.evaluation.permutation import area_p
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.baselines import voxel_features
from napari_neuropretrain.training.division import shuffle_labels
from napari_neuropretrain.training.results import judge_self_test
from napari_neuropretrain.training.study import Study, gather_study
from napari_neuropretrain.training.task import Task

PEOPLE = [f"sub-{number:02d}" for number in range(20)]


def gather(cohort: Path, said: list[Progress], **changes: Any) -> Study:
    values = {"cohort": cohort, "output": "not-written", "task": "ad", **changes}
    config = FinetuneConfig.parse(values)
    task: Task = config.task.entry.load()(config.task.options)
    return gather_study(config, task, said.append)


def parts_for(train: int = 12, validation: int = 4) -> dict[str, Part]:
    return {
        name: "train"
        if number < train
        else "validation"
        if number < train + validation
        else "test"
        for number, name in enumerate(PEOPLE)
    }


def test_a_split_file_is_followed(derivatives: Path, tmp_path: Path) -> None:
    parts = parts_for()
    del parts["sub-03"]
    path = write_splits(tmp_path / "s.tsv", parts)
    said: list[Progress] = []
    study = gather(derivatives, said, splits=path)
    assert study.parts == parts
    (warning,) = [one.message for one in said if one.state == "warning"]
    assert "1 scans are left out" in warning
    assert warning.endswith("list their participants: sub-03.")
    assert "sub-03" not in {scan.key for scan in study.volumes.scans}


def test_a_fold_is_tested(derivatives: Path, tmp_path: Path) -> None:
    folds = {name: number // 2 % 5 + 1 for number, name in enumerate(PEOPLE)}
    path = write_folds(tmp_path / "f.tsv", folds)
    study = gather(derivatives, [], splits=path, fold=5)
    assert {key for key, part in study.parts.items() if part == "test"} == {
        name for name, fold in folds.items() if fold == 5
    }
    assert {folds[key] for key, one in study.parts.items() if one == "validation"} == {
        1
    }


@pytest.fixture
def with_repeat(
    derivatives: Path, tmp_path: Path, write_volume: Callable[..., Path]
) -> Path:
    """Twenty people without effects; sub-19 is a second scan of sub-02."""
    root = tmp_path / "repeat"
    for number, name in enumerate(PEOPLE):
        seed, age = (2, 0.2) if number == 19 else (number, 0.0)
        write_volume(root, Scan(name, None, Path("raw.nii.gz")), seed, 0.0, age)
    shutil.copy(derivatives / "participants.tsv", root)
    return root


def test_one_person_under_two_names_stays_together(with_repeat: Path) -> None:
    for seed in range(4):
        said: list[Progress] = []
        study = gather(with_repeat, said, seed=seed)
        assert study.parts["sub-02"] == study.parts["sub-19"]
        (warning,) = [one.message for one in said if one.state == "warning"]
        assert warning.startswith("sub-02 and sub-19 show the same brain")


def test_a_file_that_parts_a_person_is_refused(
    with_repeat: Path, tmp_path: Path
) -> None:
    path = write_splits(tmp_path / "s.tsv", parts_for())
    expected = r"two parts: sub-02 \(train\) and sub-19 \(test\)"
    with pytest.raises(LeakageError, match=expected):
        gather(with_repeat, [], splits=path)
    said: list[Progress] = []
    gather(with_repeat, said, splits=path, allow_leakage=True)
    assert "allowed by allow_leakage" in said[-1].message
    study = gather(with_repeat, [], splits=path, find_repeats=False)
    assert study.parts == parts_for()


def test_nobody_of_the_cohort_is_taken_for_another(derivatives: Path) -> None:
    said: list[Progress] = []
    gather(derivatives, said)
    assert not [one for one in said if one.state == "warning"]


def test_labels_are_shuffled_by_participant_within_the_parts() -> None:
    scans = [
        Scan(f"sub-{n:02d}", f"ses-{s}", Path("x")) for n in range(60) for s in (1, 2)
    ]
    labels = {scan.key: float(int(scan.participant[-2:]) % 2) for scan in scans}
    parts: dict[str, Part] = {
        scan.key: "train" if int(scan.participant[-2:]) < 40 else "test"
        for scan in scans
    }
    shuffled = shuffle_labels(scans, labels, parts, seed=0)
    for n in range(60):
        assert shuffled[f"sub-{n:02d}_ses-1"] == shuffled[f"sub-{n:02d}_ses-2"]
    for part in ("train", "test"):
        keys = [key for key, one in parts.items() if one == part]
        assert sum(shuffled[k] for k in keys) == sum(labels[k] for k in keys)
        same = np.mean([shuffled[k] == labels[k] for k in keys])
        assert 0.3 < same < 0.7
    assert shuffle_labels(scans, labels, parts, seed=0) == shuffled
    assert shuffle_labels(scans, labels, parts, seed=1) != shuffled


def test_the_fold_needs_a_file(derivatives: Path) -> None:
    with pytest.raises(ConfigError, match="Give the file with --splits"):
        gather(derivatives, [], fold=2)


def learned_area(study: Study, leak: bool) -> tuple[list[float], list[float]]:
    """Learn linearly from the training part, or from everyone; return the test."""
    scans = study.volumes.scans
    labels = np.array([study.labels[scan.key] for scan in scans])
    test = np.array([study.parts[scan.key] == "test" for scan in scans])
    features, used = voxel_features(study, silent), ~test | leak
    people = np.array(PEOPLE)[used]
    model = linear_models.fit_linearly(features[used], labels[used], people, "binary")
    values = model.predict(features)
    return values[test].tolist(), labels[test].tolist()


@pytest.mark.parametrize("leak", [False, True], ids=["honest", "leak"])
def test_shuffled_labels_are_at_chance_unless_the_test_leaks(
    derivatives: Path, leak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The self-test finds a training that has seen the test part, and no other."""
    monkeypatch.setattr(linear_models, "_PENALTIES", np.array([1e-3]))
    areas: dict[bool, list[float]] = {False: [], True: []}
    pooled: tuple[list[float], list[float]] = ([], [])
    for seed in range(4):
        for shuffled in areas:
            changes = {"seed": seed, "shuffle_labels": shuffled, "test_fraction": 0.4}
            study = gather(derivatives, [], find_repeats=False, **changes)
            values, labels = learned_area(study, leak)
            areas[shuffled].append(roc_auc(values, labels))
            if shuffled:
                pooled = (pooled[0] + values, pooled[1] + labels)
    assert np.mean(areas[False]) > 0.95
    said: list[Progress] = []
    p = area_p(*pooled, np.arange(len(pooled[0])), 2000, seed=0)
    message = judge_self_test({"p_chance": p}, said.append)
    if leak:
        assert "leaks into the training" in message
    else:
        assert "as it must" in message
        assert 0.25 < np.mean(areas[True]) < 0.75
