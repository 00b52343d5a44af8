"""Everything wrong in a cohort is named, with what to do, and nothing else is."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_neuropretrain.config.checking import CheckCohortConfig
from napari_neuropretrain.data.check_cohort import check_cohort
from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_overview import read_overview
from napari_neuropretrain.data.cohort_problems import find_problems
from napari_neuropretrain.data.division_problems import Division, read_division
from napari_neuropretrain.data.same_brains import find_same_brains
from napari_neuropretrain.data.scan_headers import content_of, read_header
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import silent


def opened(path: Path) -> CohortEdits:
    return CohortEdits(read_overview(path))


def headers_of(cohort: CohortEdits) -> dict:
    return {m.number: read_header(m.path) for m in cohort.members if m.path}


def kinds(cohort: CohortEdits, problems) -> set[tuple[str, str]]:
    return {
        (one.kind, cohort.members[number].key)
        for one in problems
        for number in one.numbers
    }


def test_a_sound_cohort_has_no_problem(six_participants):
    cohort = opened(six_participants)
    found = find_problems(cohort, "diagnosis", headers_of(cohort))
    # 32 voxels of 2 mm are a toy's head: its shape is all that is odd.
    assert {one.kind for one in found} == {"odd shape"}


def test_every_problem_of_a_messy_cohort_is_found(messy_cohort):
    cohort = opened(messy_cohort)
    found = find_problems(cohort, "diagnosis", headers_of(cohort))
    assert kinds(cohort, found) == {
        ("impossible age", "sub-02"),
        ("missing age", "sub-03"),
        ("wrong sex value", "sub-03"),
        ("odd orientation", "sub-03"),
        ("wrong label value", "sub-04"),
        ("not a T1 volume", "sub-04"),
        ("missing file", "sub-05"),
        ("duplicate participant id", "sub-06"),
        ("same content", "sub-01"),
        ("same content", "sub-06"),
    }
    by_kind = {one.kind: one for one in found}
    assert "'A.D.'" in by_kind["wrong label value"].text
    assert "Write 'AD'" in by_kind["wrong label value"].advice
    assert "9 volumes" in by_kind["not a T1 volume"].text
    assert found[0].severity == "error"
    assert all(one.text.endswith(".") and one.advice for one in found)


def test_who_is_excluded_has_no_problems(messy_cohort):
    cohort = opened(messy_cohort)
    headers = headers_of(cohort)
    before = len(find_problems(cohort, "diagnosis", headers))
    cohort.exclude(range(1, len(cohort.members)))
    assert find_problems(cohort, "diagnosis", headers) == ()
    assert before > 0


def test_values_that_no_task_knows_are_named(six_participants, write_table):
    rows = read_table(six_participants / "participants.tsv")
    rows[0]["diagnosis"] = "MCI"
    write_table(six_participants / "participants.tsv", rows)
    (found,) = find_problems(opened(six_participants), "diagnosis")
    assert (found.kind, found.severity) == ("wrong label value", "warning")
    assert found.numbers == (0,)


def test_text_in_a_column_of_numbers(six_participants):
    cohort = opened(six_participants)
    for number in range(6):
        cohort.set(number, "score", f"{number + 1}.5" if number < 5 else "many")
        cohort.set(number, "score", str(20 + number) if number < 5 else "many")
    # Few different numbers are classes; seven and more are a scale.
    assert "wrong label value" not in {p.kind for p in find_problems(cohort, "score")}
    (found,) = find_problems(cohort, "nothing")
    assert "no column 'nothing'" in found.text


def test_odd_shapes_of_raw_and_preprocessed_scans(tmp_path, write_scan):
    for number, edge in enumerate((64, 64, 64, 32)):
        name = f"sub-{number}"
        stem = f"{name}/anat/{name}"
        write_scan(tmp_path / f"raw/{stem}_T1w.nii.gz", number, edge)
        suffix = "_space-MNI152_desc-preproc_T1w.nii.gz"
        write_scan(tmp_path / f"done/{stem}{suffix}", number, edge)
    for folder, severity in (("raw", "warning"), ("done", "error")):
        cohort = opened(tmp_path / folder)
        found = [
            one
            for one in find_problems(cohort, "", headers_of(cohort))
            if one.kind == "odd shape"
        ]
        assert [(one.severity, one.numbers) for one in found] == [(severity, (3,))]


def test_a_scan_stored_in_another_order_and_a_tilted_one(tmp_path):
    c, s = np.cos(np.radians(40)), np.sin(np.radians(40))
    tilt = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])
    for number in range(10):
        flip = np.diag([-1.0 if number == 7 else 1.0, 1, 1, 1])
        affine = flip @ (tilt if number == 4 else np.eye(4)) @ np.diag([2.0, 2, 2, 1])
        voxels = np.full((64, 64, 64), number, np.uint8)
        image = nib.Nifti1Image(voxels, affine)
        nib.save(image, tmp_path / f"p{number}.nii.gz")
    cohort = opened(tmp_path)
    found = find_problems(cohort, "", headers_of(cohort))
    odd = [one for one in found if one.kind == "odd orientation"]
    assert {(one.severity, one.numbers) for one in odd} == {
        ("warning", (4,)),
        ("note", (7,)),
    }
    assert "40 degrees" in odd[0].text


def test_copies_are_found_however_they_were_compressed(tmp_path, write_scan):
    one = write_scan(tmp_path / "a.nii.gz", 0)
    plain, slow = tmp_path / "b.nii", tmp_path / "c.nii.gz"
    plain.write_bytes(gzip.decompress(one.read_bytes()))
    slow.write_bytes(gzip.compress(plain.read_bytes(), 1))
    assert one.read_bytes() != slow.read_bytes()
    assert content_of(one) == content_of(plain) == content_of(slow)
    other = write_scan(tmp_path / "d.nii.gz", 1)
    assert content_of(other) != content_of(one)


@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_a_damaged_file_is_a_problem_with_words(tmp_path, write_scan, damage):
    path = write_scan(tmp_path / "sub-1_T1w.nii.gz", 0)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"hello", "cut": whole[:20]}[damage])
    found = read_header(path)
    assert str(path) in found.problem
    assert found.shape == ()


def test_leaks_name_the_participants(six_participants, write_table):
    cohort = opened(six_participants)
    path = six_participants.parent / "splits.tsv"
    parts = ["train", "train", "test", "validation", "holdout"]
    rows = [
        {"participant_id": f"sub-{n:02d}", "session_id": "n/a", "split": part}
        for n, part in enumerate(parts, 1)
    ]
    rows.append({"participant_id": "sub-01", "session_id": "2", "split": "test"})
    division = read_division(write_table(path, rows))
    assert division.part_of("sub-01") == "train + test"
    found = find_problems(cohort, "", None, division, brains=[(1, 2)])
    leaks = [one for one in found if one.kind == "leak"]
    assert {one.numbers for one in leaks} == {(0,), (1, 2)}
    assert any("sub-02 (train) and sub-03 (test)" in one.text for one in leaks)
    others = {one.numbers for one in found if one.kind == "division"}
    assert others == {(4,), (5,)}  # no such part; not in the file


def test_a_division_of_a_run_and_of_folds(tmp_path, write_table):
    rows = [{"participant_id": "sub-1", "session_id": "n/a", "fold": "2"}]
    write_table(tmp_path / "splits.tsv", rows)
    assert read_division(tmp_path).part_of("sub-1") == "fold 2"
    assert read_division(tmp_path).part_of("sub-2") == ""
    with pytest.raises(CohortError, match=r"no splits\.tsv"):
        read_division(tmp_path / "..")
    write_table(tmp_path / "other.tsv", [{"id": "1"}])
    with pytest.raises(CohortError, match="'split'"):
        read_division(tmp_path / "other.tsv")


def test_one_brain_under_two_names(tmp_path):
    """Two participants are one volume with noise; five others are not."""
    rng = np.random.default_rng(0)
    suffix = "_space-MNI152_desc-preproc_T1w.nii.gz"
    coarse = [rng.normal(size=(8, 8, 8)) for _ in range(6)]
    coarse.append(coarse[2])
    for number, one in enumerate(coarse):
        folder = tmp_path / f"sub-{number}/anat"
        folder.mkdir(parents=True)
        voxels = np.kron(one, np.ones((4, 4, 4))) + 5
        voxels = voxels + rng.normal(scale=0.1, size=voxels.shape)
        image = nib.Nifti1Image(voxels.astype(np.float32), np.diag([2.0, 2, 2, 1]))
        nib.save(image, folder / f"sub-{number}{suffix}")
    cohort = opened(tmp_path)
    assert find_same_brains(cohort, silent) == ((2, 6),)
    cohort.exclude([6])
    assert find_same_brains(cohort, silent) == ()


def test_the_job_writes_the_list_and_fails_with_the_errors(messy_cohort, tmp_path):
    config = CheckCohortConfig(cohort=messy_cohort, output=tmp_path / "check")
    told: list = []
    outcome = check_cohort(config, told.append)
    rows = read_table(tmp_path / "check/problems.tsv")
    assert len(rows) == len(find_problems(*_with_headers(messy_cohort)))
    errors = [row for row in rows if row["severity"] == "error"]
    assert {one.item for one in outcome.failures} == {row["problem"] for row in errors}
    copies = next(row for row in rows if row["problem"] == "same content")
    assert copies["participants"] == "sub-01, sub-06"
    assert outcome.message.startswith("Checked 6 scans: ")


def test_the_job_changes_nothing(messy_cohort, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in messy_cohort.rglob("*")}
    copy = shutil.copytree(messy_cohort, tmp_path / "copy")
    check_cohort(CheckCohortConfig(cohort=copy, output=tmp_path / "o"), silent)
    assert {p.relative_to(copy) for p in copy.rglob("*")} == {
        p.relative_to(messy_cohort) for p in before
    }


def _with_headers(path: Path):
    cohort = opened(path)
    return cohort, "diagnosis", headers_of(cohort)


def test_a_division_can_be_made_by_hand():
    division = Division(Path("x.tsv"), {"sub-1": ("train",)})
    assert division.part_of("sub-1") == "train"
