"""The quality table: round trip, decisions that survive, damaged tables."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from napari_neuropretrain.data.quality import (
    QUALITY_TABLE,
    QualityRow,
    decide,
    read_quality,
    write_quality,
)
from napari_neuropretrain.errors import CohortError


def row(name: str, verdict: str = "keep", **more: object) -> QualityRow:
    participant, _, session = name.partition("_")
    return QualityRow(name, participant, session or None, verdict, **more)  # type: ignore[arg-type]


def test_round_trip(tmp_path: Path) -> None:
    first = row("sub-01", measures={"dice": 0.9512, "ghost": math.nan})
    second = row("sub-02_ses-01", "look", reason='a "tilted"\thead', note="ü")
    path = write_quality(tmp_path, {"sub-02_ses-01": second, "sub-01": first})

    rows = read_quality(tmp_path)

    assert path == tmp_path / "quality.tsv"
    assert list(rows) == ["sub-01", "sub-02_ses-01"]
    assert rows["sub-01"].measures["dice"] == 0.9512
    assert math.isnan(rows["sub-01"].measures["ghost"])
    again = rows["sub-02_ses-01"]
    assert (again.session, again.reason) == ("ses-01", 'a "tilted" head')
    assert (again.note, again.decision, again.final) == ("ü", "", "look")
    header = path.read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert header[:4] == ["participant_id", "session_id", "verdict", "reason"]
    assert header[4:] == ["decision", "note", "dice", "ghost"]
    assert path.read_text(encoding="utf-8").splitlines()[1].split("\t")[1] == "n/a"


def test_no_table_is_no_rows(tmp_path: Path) -> None:
    assert read_quality(tmp_path) == {}


def test_decisions_survive_and_can_be_taken_back(tmp_path: Path) -> None:
    write_quality(tmp_path, {"sub-01": row("sub-01"), "sub-02": row("sub-02")})
    decided = decide(tmp_path, "sub-01", "reject", "the\twrong person")
    assert (decided.final, decided.note) == ("reject", "the wrong person")

    write_quality(tmp_path, {"sub-01": row("sub-01", "look", reason="new")})

    rows = read_quality(tmp_path)
    assert list(rows) == ["sub-01"]
    assert (rows["sub-01"].verdict, rows["sub-01"].final) == ("look", "reject")
    assert rows["sub-01"].note == "the wrong person"
    write_quality(tmp_path, {"sub-03": row("sub-03")})
    assert list(read_quality(tmp_path)) == ["sub-01", "sub-03"]
    assert decide(tmp_path, "sub-01", "").final == "look"
    assert read_quality(tmp_path)["sub-01"].decision == ""


def test_unknown_scan_or_decision(tmp_path: Path) -> None:
    write_quality(tmp_path, {"sub-01": row("sub-01")})
    with pytest.raises(CohortError, match="no scan 'sub-09'"):
        decide(tmp_path, "sub-09", "keep")
    with pytest.raises(CohortError, match="keep, look, reject"):
        decide(tmp_path, "sub-01", "perhaps")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("participant_id\tage\nsub-01\t60\n", "no 'verdict' column"),
        ("participant_id\tverdict\nsub-01\tgood\n", "verdict 'good' for 'sub-01'"),
        ("participant_id\tverdict\nsub-01\t\n", "no verdict for 'sub-01'"),
        ("participant_id\tverdict\tdecision\nsub-01\tkeep\tbad\n", "decision 'bad'"),
        ("participant_id\tverdict\tdice\nsub-01\tkeep\t0,9\n", "'0,9' as dice"),
        ("participant_id\tverdict\nsub-01\tkeep\nsub-01\tkeep\n", "more than once"),
    ],
)
def test_damaged_tables_are_named(tmp_path: Path, lines: str, message: str) -> None:
    table = tmp_path / QUALITY_TABLE
    table.write_text(lines)
    with pytest.raises(CohortError, match=message) as error:
        read_quality(tmp_path)
    assert QUALITY_TABLE in str(error.value)
    with pytest.raises(CohortError):  # and are not overwritten
        write_quality(tmp_path, {"sub-01": row("sub-01")})
    assert table.read_text(encoding="utf-8") == lines


def test_a_table_saved_by_a_spreadsheet(tmp_path: Path) -> None:
    text = "participant_id\tverdict\tdecision\nsub-01\tkeep\t Reject\n"
    (tmp_path / QUALITY_TABLE).write_text("\ufeff" + text, encoding="utf-8")
    assert read_quality(tmp_path)["sub-01"].final == "reject"
