"""Who takes part, who is left out, and who is too few."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.data.participants import Cohort, Scan
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.training.labelled_cohort import divide, read_labels
from napari_neuropretrain.training.task import Task


def cohort_of(groups: list[str]) -> Cohort:
    scans = tuple(
        Scan(f"sub-{number:02d}", None, Path("x"), {"diagnosis": group})
        for number, group in enumerate(groups)
    )
    return Cohort(scans, Path("study"))


@pytest.fixture
def task() -> Task:
    entry = TASKS["ad"]
    built: Task = entry.load()(entry.options())
    return built


def test_other_groups_are_left_out_and_missing_ones_fail(task: Task) -> None:
    said: list[Progress] = []
    cohort = cohort_of(["AD", "CN", "PD", "MCI", "PD", "n/a"])
    labels = read_labels(cohort, task, "diagnosis", said.append)
    assert labels.values == {"sub-00": 1, "sub-01": 0}
    assert [failure.item for failure in labels.failures] == ["sub-05"]
    (warning,) = said
    assert warning.state == "warning"
    assert "3 scans belong to neither group" in warning.message
    assert "1 MCI, 2 PD" in warning.message


def test_sessions_of_a_participant_stay_together(task: Task) -> None:
    scans = [
        Scan(f"sub-{person:02d}", f"ses-{visit}", Path("x"))
        for person in range(20)
        for visit in (1, 2)
    ]
    labels = {scan.key: float(int(scan.participant[-1]) % 2) for scan in scans}
    for seed in range(5):
        parts = divide(scans, labels, task, (0.2, 0.2), seed)
        people = {(scan.participant, parts[scan.key]) for scan in scans}
        assert len(people) == 20


@pytest.mark.parametrize("groups", [["AD"] * 2 + ["CN"] * 9, ["AD", "CN", "CN"]])
def test_too_few_are_counted(task: Task, groups: list[str]) -> None:
    cohort = cohort_of(groups)
    labels = read_labels(cohort, task, "diagnosis", silent)
    with pytest.raises(CohortError, match=r"\d.*participants"):
        divide(list(cohort.scans), labels.values, task, (0.15, 0.2), 0)
