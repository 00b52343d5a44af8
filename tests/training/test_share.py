"""A share of the training part: nested, stratified, the same test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.splits import Part
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import silent
from napari_neuropretrain.training.share import order_people, take_share
from napari_neuropretrain.training.study import gather_study
from napari_neuropretrain.training.volumes import Volumes


def cohort(people: int) -> tuple[Volumes, dict[str, float], dict[str, Part]]:
    """Two sessions each; every third is ill; sex alternates; the last ten are held."""
    scans, labels, parts = [], {}, {}
    for number in range(people):
        row = {"sex": "MF"[number % 2], "age": str(50 + number % 30)}
        for session in ("ses-1", "ses-2"):
            scan = Scan(f"sub-{number:03d}", session, Path("x.nii.gz"), row)
            scans.append(scan)
            labels[scan.key] = float(number % 3 == 0)
            held: Part = "test" if number % 2 else "validation"
            parts[scan.key] = held if number >= people - 10 else "train"
    sources = tuple(torch.tensor([index]) for index in range(len(scans)))
    return Volumes(tuple(scans), sources, PreprocessingContract(), ()), labels, parts


def people_of(parts: dict[str, Part], part: Part) -> set[str]:
    return {key.split("_")[0] for key, value in parts.items() if value == part}


def test_shares_are_nested_and_exact_and_leave_the_test_alone() -> None:
    volumes, labels, parts = cohort(100)
    kept = {}
    for fraction in (0.1, 0.25, 0.5, 1.0):
        some, left = take_share(volumes, labels, parts, fraction, seed=3)
        kept[fraction] = people_of(left, "train")
        assert people_of(left, "test") == people_of(parts, "test")
        assert people_of(left, "validation") == people_of(parts, "validation")
        assert [scan.key for scan in some.scans] == list(left)
        index = {scan.key: number for number, scan in enumerate(volumes.scans)}
        assert [int(one) for one in some.sources] == [index[key] for key in left]
    assert kept[0.1] < kept[0.25] < kept[0.5] < kept[1.0]
    # 30 ill and 60 others are there to train on.
    assert {share: len(found) for share, found in kept.items()} == {
        0.1: 9,
        0.25: 23,
        0.5: 45,
        1.0: 90,
    }
    ill = {key.split("_")[0] for key, label in labels.items() if label}
    assert len(kept[0.1] & ill) == 3
    assert len(kept[0.5] & ill) == 15


def test_a_start_of_the_order_is_like_the_whole() -> None:
    volumes, labels, _ = cohort(120)
    (healthy, ill) = order_people(volumes.scans, labels, seed=0)
    assert len(healthy) == 80
    assert len(ill) == 40
    men = {one.participant for one in volumes.scans if one.row["sex"] == "M"}
    for start in (20, 40):
        assert abs(len(men & set(healthy[:start])) - start / 2) <= 1
    assert order_people(volumes.scans, labels, 0) == [healthy, ill]
    assert order_people(volumes.scans, labels, 1) != [healthy, ill]


def test_numbers_are_one_class() -> None:
    volumes, _, parts = cohort(60)
    ages = {one.key: float(one.row["age"]) for one in volumes.scans}
    _, left = take_share(volumes, ages, parts, 0.2, seed=0)
    chosen = sorted(
        ages[key] for key in left if left[key] == "train" and key.endswith("1")
    )
    assert len(chosen) == 10
    # Each fifth of the ages, 50 to 79, is there.
    assert {int((age - 50) // 6) for age in chosen} == {0, 1, 2, 3, 4}


def test_the_job_trains_on_the_share(derivatives: Path, tmp_path: Path) -> None:
    values = {"cohort": derivatives, "output": tmp_path, "task": "ad"}
    values |= {"find_repeats": False}
    chosen = FinetuneConfig.parse(values).task
    task = chosen.entry.load()(chosen.options)
    whole = gather_study(FinetuneConfig.parse(values), task, silent)
    half = FinetuneConfig.parse(values | {"training_fraction": 0.5})
    study = gather_study(half, task, silent)
    assert len(study.labels_of("train")) == len(whole.labels_of("train")) // 2
    assert torch.equal(study.labels_of("test"), whole.labels_of("test"))
    assert study.digest() != whole.digest()
    with pytest.raises(CohortError, match="at least 4 participants"):
        gather_study(half.replace(training_fraction=0.05), task, silent)
