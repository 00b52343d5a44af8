"""Divisions of participants."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.split_files import (
    hash_splits,
    read_splits,
    write_folds,
    write_splits,
)
from napari_neuropretrain.data.splits import fold_participants, split_participants
from napari_neuropretrain.errors import CohortError, ConfigError


def scans_of(count: int, sessions: int = 1) -> list[Scan]:
    return [
        Scan(f"sub-{number:03d}", f"ses-{session}", Path("t1.nii"))
        for number in range(count)
        for session in range(sessions)
    ]


def parts_of(splits, part) -> set[str]:
    return {key for key, one in splits.items() if one == part}


def test_fractions_are_kept():
    splits = split_participants(scans_of(100), None, 0.2, 0.1, seed=0)
    assert Counter(splits.values()) == {"train": 70, "validation": 20, "test": 10}


def test_sessions_of_a_participant_stay_together():
    scans = scans_of(30, sessions=3)
    splits = split_participants(scans, None, 0.2, 0.2, seed=1)
    for number in range(30):
        assert len({splits[f"sub-{number:03d}_ses-{one}"] for one in range(3)}) == 1


def test_classes_are_balanced_over_parts():
    scans = scans_of(50)
    labels = {scan.key: float(index < 10) for index, scan in enumerate(scans)}
    splits = split_participants(scans, labels, 0.2, 0.2, seed=3)
    for part in ("validation", "test"):
        assert sum(labels[key] for key in parts_of(splits, part)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_ages_of_each_part_cover_the_range(seed):
    scans = scans_of(100)
    ages = np.random.default_rng(seed).uniform(20, 90, 100)
    labels = {scan.key: age for scan, age in zip(scans, ages, strict=True)}
    splits = split_participants(scans, labels, 0.2, 0.2, seed=seed)
    edges = np.quantile(ages, (0.2, 0.4, 0.6, 0.8))
    for part in ("validation", "test"):
        mine = [labels[key] for key in parts_of(splits, part)]
        # Four of 20 in each fifth, one more or less at an edge.
        counts = np.bincount(np.digitize(mine, edges), minlength=5)
        assert counts.min() >= 2
        assert np.mean(mine) == pytest.approx(ages.mean(), abs=4)


def test_six_participants_give_each_part_both_classes():
    scans = scans_of(6)
    labels = {scan.key: index % 2 for index, scan in enumerate(scans)}
    splits = split_participants(scans, labels, 0.2, 0.2, seed=0)
    for part in ("train", "validation", "test"):
        assert {labels[key] for key in parts_of(splits, part)} == {0, 1}


def test_division_depends_on_seed_but_not_on_order():
    scans = scans_of(40)
    first = split_participants(scans, None, 0.2, 0.2, seed=7)
    assert split_participants(scans[::-1], None, 0.2, 0.2, seed=7) == first
    assert split_participants(scans, None, 0.2, 0.2, seed=8) != first


def test_scans_without_label_are_left_out():
    scans = scans_of(10)
    labels = {scan.key: float(index) for index, scan in enumerate(scans[:8])}
    assert split_participants(scans, labels, 0.2, 0, seed=0).keys() == labels.keys()


def test_no_test_part_when_none_is_asked_for():
    splits = split_participants(scans_of(10), None, 0.3, 0.0, seed=0)
    assert Counter(splits.values()) == {"train": 7, "validation": 3}


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.2), (1, 0)])
def test_impossible_fractions(validation, test):
    with pytest.raises(ConfigError, match="their sum below 1"):
        split_participants(scans_of(9), None, validation, test, seed=0)


def test_too_few_of_one_class():
    scans = scans_of(20)
    labels = {scan.key: float(index < 2) for index, scan in enumerate(scans)}
    with pytest.raises(
        CohortError, match="2 participants with label 1, but at least 3"
    ):
        split_participants(scans, labels, 0.2, 0.2, seed=0)


def test_splits_survive_the_file(tmp_path):
    scans = [*scans_of(10, 2), Scan("sub-x", None, Path("x.nii"))]
    splits = split_participants(scans, None, 0.2, 0.2, seed=0)
    path = write_splits(tmp_path / "run" / "splits.tsv", splits)
    assert read_splits(path) == splits
    assert path.read_text().splitlines()[0] == "participant_id\tsession_id\tsplit"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("participant_id\tsplit\nsub-1\tdev\n", "the split 'dev'; allowed are train"),
        ("name\tsplit\nsub-1\ttest\n", "needs the columns 'participant_id'"),
        (
            "participant_id\tsession_id\tsplit\na\t1\ttest\na\t2\ttrain\n",
            "puts a into 'test' and into 'train'",
        ),
    ],
)
def test_files_that_are_no_division(tmp_path, text, message):
    (tmp_path / "splits.tsv").write_text(text)
    with pytest.raises(CohortError, match=message):
        read_splits(tmp_path / "splits.tsv")


def people_of(count: int, seed: int) -> list[Scan]:
    """Scans of people with age, sex and an uneven number of sites."""
    random = np.random.default_rng(seed)
    return [
        Scan(
            f"sub-{number:03d}",
            None,
            Path("x"),
            {
                "Age": f"{random.uniform(20, 90):.1f}",
                "sex": "MF"[random.integers(2)],
                "site": "AAAABBC"[random.integers(7)],
            },
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_label_sex_and_site_are_balanced_jointly(seed):
    scans = people_of(300, seed)
    random = np.random.default_rng(seed)
    labels = {scan.key: float(random.random() < 0.3) for scan in scans}
    splits = split_participants(scans, labels, 0.2, 0.2, seed)
    for value in (0.0, 1.0):
        for sex in "MF":
            for site in "ABC":
                group = [
                    scan.key
                    for scan in scans
                    if (labels[scan.key], scan.row["sex"], scan.row["site"])
                    == (value, sex, site)
                ]
                for part in ("validation", "test"):
                    given = sum(splits[key] == part for key in group)
                    assert abs(given - 0.2 * len(group)) <= 2.5, (value, sex, site)
    ages = np.array([float(scan.row["Age"]) for scan in scans])
    where = np.array([splits[scan.key] for scan in scans])
    means = [ages[where == part].mean() for part in ("train", "validation", "test")]
    assert np.ptp(means) < 3


def test_folds_are_even_and_every_class_is_in_each():
    scans = people_of(53, 0)
    labels = {scan.key: float(index % 5 == 0) for index, scan in enumerate(scans)}
    folds = fold_participants(scans, labels, 5, seed=0)
    counts = Counter(folds.values())
    assert sorted(counts) == [1, 2, 3, 4, 5]
    assert sorted(counts.values()) == [10, 10, 11, 11, 11]
    cases = Counter(folds[key] for key, label in labels.items() if label)
    assert set(cases.values()) == {2, 3}
    with pytest.raises(CohortError, match="11 participants with label 1, but 12 folds"):
        fold_participants(scans, labels, 12, seed=0)


def test_each_fold_is_tested_once(tmp_path):
    scans = people_of(40, 1)
    path = write_folds(tmp_path / "f.tsv", fold_participants(scans, None, 4, seed=0))
    tests = [read_splits(path, fold) for fold in (1, 2, 3, 4)]
    for one in tests:
        assert Counter(one.values()) == {"train": 20, "validation": 10, "test": 10}
    tested = Counter(key for one in tests for key in parts_of(one, "test"))
    assert set(tested.values()) == {1}
    assert len(tested) == 40
    with pytest.raises(ConfigError, match=r"holds folds\. Say which"):
        read_splits(path)
    with pytest.raises(ConfigError, match="has 4 folds, not 5"):
        read_splits(path, 5)


def test_the_same_person_under_two_names_stays_together():
    scans = people_of(20, 2)
    same = {"sub-003": "sub-011", "sub-015": "sub-011"}
    for seed in range(8):
        splits = split_participants(scans, None, 0.2, 0.2, seed, same)
        assert len({splits[key] for key in ("sub-003", "sub-011", "sub-015")}) == 1


def test_the_hash_is_of_the_division_and_not_of_the_file(tmp_path):
    splits = split_participants(scans_of(10, 2), None, 0.2, 0.2, seed=0)
    text = write_splits(tmp_path / "a.tsv", splits).read_text().splitlines()
    (tmp_path / "b.tsv").write_text("\n".join([text[0], *text[:0:-1]]) + "\n")
    assert hash_splits(read_splits(tmp_path / "b.tsv")) == hash_splits(splits)
    other = split_participants(scans_of(10, 2), None, 0.2, 0.2, seed=1)
    assert hash_splits(other) != hash_splits(splits)
