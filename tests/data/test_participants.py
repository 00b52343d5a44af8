"""Cohorts from every layout, and sentences for tables that contradict themselves."""

from __future__ import annotations

import shutil

import pytest

from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.quality import QualityRow, decide, write_quality
from napari_neuropretrain.errors import CohortError


def keys(cohort) -> list[str]:
    return [scan.key for scan in cohort.scans]


def test_bids_dataset_is_joined_with_its_table(six_participants):
    cohort = read_cohort(six_participants)
    assert keys(cohort) == [f"sub-{number:02d}" for number in range(1, 7)]
    assert cohort.kind == "raw"
    assert cohort.root == six_participants
    assert cohort.columns == ("participant_id", "age", "sex", "diagnosis")
    assert cohort.scans[2].row["age"] == "52.25"
    assert cohort.problems == ()


def test_sessions_find_their_own_rows(tmp_path, write_scan, write_table):
    for session in ("ses-1", "ses-2"):
        write_scan(tmp_path / f"sub-A/{session}/anat/sub-A_{session}_T1w.nii.gz", 0)
    write_table(
        tmp_path / "participants.tsv",
        [
            {"participant_id": "A", "session_id": "1", "age": 60},
            {"participant_id": "sub-A", "session_id": "ses-2", "age": 62},
        ],
    )
    cohort = read_cohort(tmp_path)
    assert [(one.key, one.row["age"]) for one in cohort.scans] == [
        ("sub-A_ses-1", "60"),
        ("sub-A_ses-2", "62"),
    ]
    assert (cohort.scans[0].participant, cohort.scans[0].session) == ("sub-A", "ses-1")


def test_sessions_table_of_bids_overrides(tmp_path, write_scan, write_table):
    write_scan(tmp_path / "sub-A/ses-2/anat/sub-A_ses-2_T1w.nii.gz", 0)
    write_table(tmp_path / "participants.tsv", [{"participant_id": "sub-A", "age": 60}])
    write_table(
        tmp_path / "sub-A/sub-A_sessions.tsv", [{"session_id": "ses-2", "age": 63}]
    )
    assert read_cohort(tmp_path).scans[0].row["age"] == "63"


def test_second_run_is_noted(tmp_path, write_scan):
    for run in (1, 2):
        write_scan(tmp_path / f"sub-A/anat/sub-A_run-{run}_T1w.nii.gz", run)
    cohort = read_cohort(tmp_path)
    assert cohort.scans[0].path.name == "sub-A_run-1_T1w.nii.gz"
    assert "not sub-A_run-2_T1w.nii.gz" in cohort.notes[0]


def test_rows_and_scans_without_each_other_are_problems(six_participants):
    shutil.rmtree(six_participants / "sub-02" / "anat")
    shutil.rmtree(six_participants / "sub-03")
    table = six_participants / "participants.tsv"
    lines = [line for line in table.read_text().splitlines() if "sub-04" not in line]
    table.write_text("\n".join(lines))
    (six_participants / "sub-99" / "anat").mkdir(parents=True)

    cohort = read_cohort(six_participants)

    assert keys(cohort) == ["sub-01", "sub-04", "sub-05", "sub-06"]
    assert {one.item: one.reason.split(" in ")[0] for one in cohort.problems} == {
        "sub-02": "is",
        "sub-03": "is",
        "sub-04": "has a scan but no row",
        "sub-99": "has a folder",
    }


def test_derivatives_are_told_from_raw_scans(tmp_path, write_scan):
    for name in ("space-MNI152_desc-preproc_T1w", "space-MNI152_desc-brain_mask"):
        write_scan(tmp_path / f"sub-A/ses-1/anat/sub-A_ses-1_{name}.nii.gz", 0)
    cohort = read_cohort(tmp_path)
    assert cohort.kind == "preprocessed"
    assert keys(cohort) == ["sub-A_ses-1"]
    alone = read_cohort(cohort.scans[0].path)
    assert (alone.kind, keys(alone)) == ("preprocessed", ["sub-A_ses-1"])


@pytest.mark.parametrize("column", ["path", "File", "filename", "image", "t1", "scan"])
@pytest.mark.parametrize("name", ["study.csv", "study.tsv"])
def test_table_names_scans_beside_it(tmp_path, write_scan, write_table, column, name):
    write_scan(tmp_path / "t1" / "IXI012-HH-1211_T1.nii.gz", 0)
    rows = [
        {"participant_id": "IXI012-HH-1211", column: "t1/IXI012-HH-1211_T1.nii.gz"},
        {"participant_id": "IXI013", column: "t1/IXI013.nii.gz"},
        {"participant_id": "IXI014", column: "n/a"},
    ]
    cohort = read_cohort(write_table(tmp_path / name, rows))
    assert keys(cohort) == ["sub-IXI012HH1211"]
    assert cohort.scans[0].path.is_file()
    assert [one.item for one in cohort.problems] == ["sub-IXI013", "sub-IXI014"]
    assert "there is no file" in cohort.problems[0].reason
    assert "gives no path" in cohort.problems[1].reason


def test_spreadsheet_csv_with_semicolons_and_byte_order_mark(tmp_path, write_scan):
    write_scan(tmp_path / "a.nii.gz", 0)
    (tmp_path / "study.csv").write_text(
        '\ufeffpath;age;note\na.nii.gz;60;"tall, old"\n;;\n', encoding="utf-8"
    )
    (scan,) = read_cohort(tmp_path / "study.csv").scans
    assert scan.key == "sub-a"
    assert scan.row["note"] == "tall, old"


def test_one_file_and_a_folder_of_files(tmp_path, write_scan):
    path = write_scan(tmp_path / "sub-7_ses-b_T1w.nii.gz", 0)
    write_scan(tmp_path / "anna.nii", 0)
    (tmp_path / "._anna.nii").write_text("a companion that macOS makes")
    assert keys(read_cohort(path)) == ["sub-7_ses-b"]
    assert keys(read_cohort(tmp_path)) == ["sub-7_ses-b", "sub-anna"]


def test_voxels_are_not_read(six_participants):
    for path in six_participants.glob("sub-*/anat/*"):
        path.write_bytes(b"damaged")
    assert len(read_cohort(six_participants).scans) == 6


def rows_of(*names, **more):
    return [{"participant_id": name, "path": "a.nii.gz", **more} for name in names]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (rows_of("A", "sub-A"), "lists sub-A more than once"),
        (rows_of("A", "A", session_id="1"), "lists sub-A_ses-1 more than once"),
        (rows_of("A-1", "A_1"), "'A-1' and 'A_1' of .* both become 'sub-A1'"),
        (rows_of("A", ""), "Row 2 of .* names no participant"),
        (rows_of("---"), "'---' cannot name a participant"),
        ([{"participant_id": "A", "age": 3}], "no column of image paths.*'age'"),
    ],
)
def test_table_that_contradicts_itself(
    tmp_path, write_scan, write_table, rows, message
):
    write_scan(tmp_path / "a.nii.gz", 0)
    table = write_table(tmp_path / "study.tsv", rows)
    with pytest.raises(CohortError, match=message):
        read_cohort(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path\tage\n", "has no rows"),
        ("path\tpath\na\tb\n", "several columns named 'path'"),
        ("path\na.nii\tb\n", "Line 2 of .* has 2 values"),
        ("path\nnone.nii.gz\n", "There is no scan in .*there is no file"),
        (b"\xff\xfe\x00", "cannot be read as text"),
    ],
)
def test_table_that_cannot_be_read(tmp_path, text, message):
    table = tmp_path / "study.tsv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CohortError, match=message) as caught:
        read_cohort(table)
    assert str(table) in str(caught.value)


def test_bids_table_without_participants(six_participants, write_table):
    write_table(six_participants / "participants.tsv", [{"name": "A", "age": 3}])
    with pytest.raises(CohortError, match=r"no 'participant_id' column.*'name', 'age'"):
        read_cohort(six_participants)


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", "There is no"), ("", "There is no scan in"), ("a.pdf", "not something")],
)
def test_nothing_to_read(tmp_path, name, message):
    if name == "a.pdf":
        (tmp_path / name).touch()
    with pytest.raises(CohortError, match=message) as caught:
        read_cohort(tmp_path / name)
    assert "a BIDS dataset" in str(caught.value)


def test_two_files_of_one_name(tmp_path, write_scan):
    write_scan(tmp_path / "a-1.nii.gz", 0)
    write_scan(tmp_path / "a_1.nii.gz", 0)
    with pytest.raises(CohortError, match="are both named 'sub-a1'"):
        read_cohort(tmp_path)


def test_real_cohort(shared_data):
    cohort = read_cohort(shared_data / "ixi_hh_2mm")
    assert len(cohort.scans) == 141
    assert keys(cohort)[0] == "sub-IXI012HH1211"
    assert cohort.problems == ()


def preprocessed_folder(root, *names):
    for name in names:
        image = root / name / "anat" / f"{name}_space-MNI152_desc-preproc_T1w.nii.gz"
        image.parent.mkdir(parents=True)
        image.touch()
    return root


def test_rejected_scans_of_a_derivatives_folder_are_left_out_and_named(tmp_path):
    root = preprocessed_folder(tmp_path, "sub-1", "sub-2", "sub-3", "sub-4")
    rows = {
        "sub-1": QualityRow("sub-1", "sub-1", None, "reject", "half a brain"),
        "sub-2": QualityRow("sub-2", "sub-2", None, "look", "tilted"),
        "sub-3": QualityRow("sub-3", "sub-3", None, "keep"),
        "sub-4": QualityRow("sub-4", "sub-4", None, "reject", decision="keep"),
    }
    write_quality(root, rows)
    decide(root, "sub-3", "reject", "wrong person")

    cohort = read_cohort(root)

    assert keys(cohort) == ["sub-2", "sub-4"]
    assert cohort.notes == (
        "sub-1 is left out: rejected in quality.tsv (half a brain).",
        "sub-3 is left out: rejected in quality.tsv by decision (wrong person).",
    )
    assert not cohort.problems


def test_a_folder_of_rejected_scans_is_an_error(tmp_path):
    root = preprocessed_folder(tmp_path, "sub-1")
    write_quality(root, {"sub-1": QualityRow("sub-1", "sub-1", None, "reject")})
    with pytest.raises(CohortError, match=r"rejected in its quality\.tsv"):
        read_cohort(root)
