"""Targets from columns of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_neuropretrain.data.cohort import Cohort, Scan
from napari_neuropretrain.data.labels import (
    binary_labels,
    missing_labels,
    numeric_labels,
)
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.errors import CohortError


def cohort_with(column: str, *values: str) -> Cohort:
    scans = [
        Scan(f"sub-{number}", None, Path(f"{number}.nii"), {column: value})
        for number, value in enumerate(values)
    ]
    return Cohort(tuple(scans), Path("study.tsv"))


def test_ages_of_a_dataset(six_participants):
    ages = numeric_labels(read_cohort(six_participants), "Age")
    assert ages["sub-03"] == 52.25
    assert len(ages) == 6


def test_diagnoses_of_a_dataset(six_participants):
    labels = binary_labels(read_cohort(six_participants), "diagnosis", ["ad"], ["cn"])
    assert list(labels.values()) == [0, 0, 0, 1, 1, 1]


def test_unknown_ages_are_reported():
    cohort = cohort_with("age", "60", "n/a", "", "NaN")
    ages = numeric_labels(cohort, "age")
    assert ages == {"sub-0": 60.0}
    missing = missing_labels(cohort, "age", ages)
    assert [one.item for one in missing] == ["sub-1", "sub-2", "sub-3"]
    assert missing[0].reason == "no value in column 'age'"


def test_third_diagnosis_is_left_out_and_reported():
    cohort = cohort_with("dx", "AD", "mci", "cn", "PD", "")
    labels = binary_labels(cohort, "dx", ["AD", "PD"], ["CN"])
    assert labels == {"sub-0": 1, "sub-2": 0, "sub-3": 1}
    reasons = {one.item: one.reason for one in missing_labels(cohort, "dx", labels)}
    assert "'mci' in column 'dx' is neither" in reasons["sub-1"]
    assert "no value" in reasons["sub-4"]


@pytest.mark.parametrize(
    ("column", "values", "asked", "message"),
    [
        ("age", ("60", "old", "61y"), "age", "sub-1 has 'old', sub-2 has '61y'"),
        ("age", ("60", "inf"), "age", "sub-1 has 'inf'"),
        ("age", ("60", "-3", "154"), "age", "sub-1 has '-3', sub-2 has '154'"),
        ("age", ("60",), "years", "no column 'years'. Its columns are 'age'"),
        ("age", ("", "n/a"), "age", "no value for any of the 2 scans"),
        ("age", ("x",) * 12, "age", "and 4 more"),
    ],
)
def test_column_that_is_not_numbers(column, values, asked, message):
    with pytest.raises(CohortError, match=message):
        numeric_labels(cohort_with(column, *values), asked)


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        (["AD"], ["ad"], "'ad' cannot be both"),
        (["PD"], ["CN"], r"No scan has a positive value \('pd'\).*are 'AD', 'CN'"),
        (["AD"], ["HC"], r"No scan has a negative value \('hc'\)"),
        ([], ["CN"], "none given"),
    ],
)
def test_classes_that_are_not_there(positive, negative, message):
    with pytest.raises(CohortError, match=message):
        binary_labels(cohort_with("dx", "AD", "CN"), "dx", positive, negative)


def test_no_table_at_all():
    cohort = Cohort((Scan("sub-1", None, Path("1.nii")),), Path("folder"))
    with pytest.raises(CohortError, match="There is no table; add one"):
        numeric_labels(cohort, "age")
