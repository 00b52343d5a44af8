"""The job that writes raw heads to try."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.config.sample_cohort import SampleCohortConfig
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.runs import execute
from napari_neuropretrain.synthesis.sample_cohort import sample_cohort


def test_a_cohort_is_written_once_and_kept(tmp_path: Path) -> None:
    config = SampleCohortConfig(output=tmp_path / "c", participants=2, spacing_mm=6)
    outcome = execute(JOBS, "sample-cohort", config)
    assert outcome.results == {"cohort": str(tmp_path / "c")}
    cohort = read_cohort(tmp_path / "c")  # the files of the run are no scans
    assert cohort.kind == "raw"
    assert [scan.participant for scan in cohort.scans] == ["sub-01", "sub-02"]
    assert {scan.row["diagnosis"] for scan in cohort.scans} == {"AD", "CN"}
    before = {scan.path: scan.path.read_bytes() for scan in cohort.scans}
    heard: list[Progress] = []
    sample_cohort(config, heard.append)
    assert [one.state for one in heard] == ["result"]
    assert all(path.read_bytes() == data for path, data in before.items())
    with pytest.raises(CohortError, match=r"another cohort than 2 .* new folder"):
        sample_cohort(config.replace(seed=5), silent)


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    config = SampleCohortConfig(output=tmp_path / "c", diagnoses=["CN", "MCI"])
    with pytest.raises(CohortError, match=r"no 'MCI'\. Give some of CN, AD, PD"):
        sample_cohort(config, silent)


def test_groups_given_on_one_line(tmp_path: Path) -> None:
    values = {"output": tmp_path / "c", "participants": 3, "spacing_mm": 8}
    config = SampleCohortConfig.parse(values | {"diagnoses": "PD"})
    sample_cohort(config, silent)
    table = tmp_path / "c" / "participants.tsv"
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["diagnosis"] for row in rows] == ["PD"] * 3
