"""Opening, changing, filtering and saving the table of a cohort."""

from __future__ import annotations

from datetime import datetime

import pytest

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_filter import parse_filter
from napari_neuropretrain.data.cohort_overview import read_overview
from napari_neuropretrain.data.cohort_summary import (
    age_histogram,
    balance,
    guess_label,
    is_number_column,
)
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.errors import CohortError, ConfigError

NOON = datetime(2026, 1, 2, 12, 0, 0)


def test_a_change_is_saved_and_the_old_table_is_kept(six_participants):
    table = six_participants / "participants.tsv"
    before = table.read_text()
    scans = {p: p.read_bytes() for p in six_participants.rglob("*.nii.gz")}
    cohort = CohortEdits(read_overview(six_participants))
    assert cohort.set(0, "AGE", " 55.5 ")
    assert not cohort.set(0, "age", "55.5")
    assert cohort.exclude([1]) == 1
    assert cohort.changes == 2
    backup = cohort.save(NOON)
    assert backup.name == "participants.tsv.2026-01-02T12-00-00.bak"
    assert backup.read_text() == before
    rows = read_table(table)
    assert [row["age"] for row in rows][:2] == ["55.5", "44.0"]
    assert [row["exclude"] for row in rows][:3] == ["n/a", "yes", "n/a"]
    assert cohort.changes == 0
    assert {p: p.read_bytes() for p in scans} == scans
    assert not list(six_participants.glob(".participants*"))


def test_who_is_excluded_is_left_out_of_every_job(six_participants):
    cohort = CohortEdits(read_overview(six_participants))
    cohort.exclude([1, 3])
    cohort.save()
    used = read_cohort(six_participants)
    assert [scan.key for scan in used.scans] == ["sub-01", "sub-03", "sub-05", "sub-06"]
    assert "sub-02 is left out: excluded by the column 'exclude'" in used.notes[0]
    cohort.exclude(range(6))
    cohort.save()
    with pytest.raises(CohortError, match="Everyone"):
        read_cohort(six_participants)
    cohort.exclude(range(6), excluded=False)
    cohort.save()
    assert len(read_cohort(six_participants).scans) == 6


def test_two_saves_in_one_second_keep_two_backups(six_participants):
    cohort = CohortEdits(read_overview(six_participants))
    cohort.set(0, "age", "1")
    first = cohort.save(NOON)
    cohort.set(0, "age", "2")
    second = cohort.save(NOON)
    assert first != second
    assert read_overview(six_participants).lines[0]["age"] == "2"


def test_a_table_that_another_program_changed_is_not_overwritten(six_participants):
    table = six_participants / "participants.tsv"
    cohort = CohortEdits(read_overview(six_participants))
    cohort.set(0, "age", "55")
    theirs = table.read_text().replace("44.0", "45.0")
    table.write_text(theirs)
    with pytest.raises(CohortError, match="another program"):
        cohort.save()
    assert table.read_text() == theirs
    assert cohort.changes == 1


def test_undo_goes_back_one_by_one(six_participants):
    cohort = CohortEdits(read_overview(six_participants))
    text = cohort.text()
    cohort.set(2, "age", "1")
    cohort.set(2, "sex", "F")
    cohort.set(2, "age", "")
    assert cohort.value(2, "age") == "n/a"
    assert [cohort.undo() for _ in range(4)] == [2, 2, 2, None]
    assert cohort.text() == text


def test_undo_takes_back_a_column_that_a_change_had_added(six_participants):
    cohort = CohortEdits(read_overview(six_participants))
    text = cohort.text()
    cohort.exclude([1, 2])
    cohort.undo()
    excluded = [line.split("\t")[-1] for line in cohort.text().splitlines()]
    assert excluded == ["exclude", "n/a", "yes", "n/a", "n/a", "n/a", "n/a"]
    cohort.undo()
    assert cohort.text() == text
    assert "exclude" not in cohort.columns


def test_empty_cells_that_nobody_touched_stay_empty(tmp_path, write_scan):
    write_scan(tmp_path / "a.nii.gz", 0)
    table = tmp_path / "people.csv"
    table.write_text("id;path;age\n1;a.nii.gz;\n2;b.nii.gz;5\n", encoding="utf-8-sig")
    cohort = CohortEdits(read_overview(table))
    assert [one.path is None for one in cohort.members] == [False, True]
    cohort.set(1, "age", "6")
    cohort.save()
    assert table.read_text() == "id;path;age\n1;a.nii.gz;\n2;b.nii.gz;6\n"


def test_a_plain_folder_gets_a_table_of_all_its_scans(tmp_path, write_scan):
    for name in ("Anna", "Bert"):
        write_scan(tmp_path / f"{name}.nii.gz", 0)
    cohort = CohortEdits(read_overview(tmp_path))
    assert cohort.columns == ()
    cohort.set(1, "age", "44")
    assert cohort.save() is None
    rows = read_table(tmp_path / "participants.tsv")
    assert rows[0] == {
        "participant_id": "sub-Anna",
        "path": "Anna.nii.gz",
        "age": "n/a",
    }
    assert [scan.row["age"] for scan in read_cohort(tmp_path).scans] == ["n/a", "44"]


def test_values_of_a_sessions_table_are_shown_but_not_changed(tmp_path, write_scan):
    for visit in ("1", "2"):
        place = f"sub-A/ses-{visit}/anat/sub-A_ses-{visit}_T1w.nii.gz"
        write_scan(tmp_path / place, 0)
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\nsub-A\tF\n")
    visits = "session_id\tage\nses-1\t60\nses-2\t62\n"
    (tmp_path / "sub-A/sub-A_sessions.tsv").write_text(visits)
    cohort = CohortEdits(read_overview(tmp_path))
    assert [cohort.value(n, "age") for n in (0, 1)] == ["60", "62"]
    assert cohort.columns == ("participant_id", "sex", "session_id", "age")
    with pytest.raises(CohortError, match="sessions table"):
        cohort.set(0, "age", "61")
    cohort.set(0, "sex", "M")  # both visits are of one line
    assert cohort.value(1, "sex") == "M"
    assert cohort.sharing(0) == [0, 1]


def test_what_is_no_cohort_is_refused_with_words(tmp_path):
    with pytest.raises(CohortError, match="no scan"):
        read_overview(tmp_path)
    with pytest.raises(CohortError, match="is no cohort"):
        read_overview(tmp_path / "nothing")
    (tmp_path / "t.csv").write_text("id,age\n1,2\n")
    with pytest.raises(CohortError, match="'path'"):
        read_overview(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("", "abcd"),
        ("age > 60", "bc"),
        ("age>=60", "abc"),
        ("age = 60", "a"),
        ("age != 60", "bcd"),
        ("age =", "d"),
        ("sex = f and age < 70", "a"),
        ("sex=F & age>60", "c"),
        ("sex = M or age = 75", "bcd"),
        ("site ~ phil", "ab"),
        ("philips", "ab"),
        ("site", ""),
        ("ge f", "c"),
        ("Age > 60 and 'nobody'", ""),
    ],
)
def test_filters(text, picked):
    rows = {
        "a": {"age": "60.0", "sex": "F", "site": "Philips 3T"},
        "b": {"age": "61", "sex": "M", "site": "Philips 3T"},
        "c": {"age": "75", "sex": "F", "site": "GE"},
        "d": {"age": "n/a", "sex": "M", "site": "Siemens"},
    }
    picks = parse_filter(text, ["age", "sex", "site"])
    assert "".join(name for name, row in rows.items() if picks(row)) == picked


@pytest.mark.parametrize(
    ("text", "words"), [("agee > 60", "no column 'agee'"), ("age > old", "a number")]
)
def test_a_filter_that_cannot_be_says_why(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_filter(text, ["age"])


def test_counts_and_histograms_add_up():
    ages = ["20", "25", "59.9", "60", "n/a", "101"]
    sexes = ["F", "F", "M", "M", "M", ""]
    found = age_histogram(ages, sexes)
    assert found.edges[0] <= 20 < 101 < found.edges[-1]
    assert len(found.edges) <= 13
    counted = {group: sum(counts) for group, counts in found.counts.items()}
    assert counted == {"F": 2, "M": 2, "not known": 1}
    assert age_histogram(["n/a"], ["F"]).edges == ()
    assert age_histogram(["0", "120", "658"], "FMM").edges[-2:] == (120, 140)
    counts = balance(["AD", "", "CN", "CN"], ["F", "M", "F", "M"])
    assert list(counts) == ["CN", "AD", "not known"]
    assert counts["CN"] == {"F": 1, "M": 1}


def test_the_label_is_guessed():
    assert guess_label(["age", "sex", "DX"], {}) == "DX"
    assert guess_label(["age", "Sex"], {"Sex": ["n/a", "F"]}) == "Sex"
    assert guess_label(["age", "sex"], {"sex": ["n/a"], "age": ["5"]}) == "age"
    assert guess_label(["site"], {}) == ""
    assert is_number_column([str(n) for n in range(20)] + ["many"])
    assert not is_number_column(["0", "1", "2", "0"])
