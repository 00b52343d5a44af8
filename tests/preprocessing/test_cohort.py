"""The job: resume, bad scans, several processes, stopping."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_neuropretrain.config.jobs import PreprocessConfig
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.quality import decide, read_quality
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.errors import Cancelled, CohortError, RegistrationError
from napari_neuropretrain.preprocessing import scan_task
from napari_neuropretrain.preprocessing.cohort import preprocess
from napari_neuropretrain.preprocessing.derivatives import sidecar
from napari_neuropretrain.progress import Progress, silent

pytestmark = pytest.mark.usefixtures("cheap")
WriteBrain = Callable[..., Path]


def raw_folder(root: Path, good: int, bad: int, write: WriteBrain) -> Path:
    """BIDS with `good` brains and then `bad` files that are no images."""
    rows = ["participant_id\tage\tpath"]
    for number in range(1, good + bad + 1):
        name = f"sub-{number:02d}"
        path = root / name / "anat" / f"{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        if number <= good:
            write(path, shift_mm=(number, 0, 0))
        else:
            path.write_bytes(b"no image")
        rows.append(f"{name}\t{60 + number}\tsomewhere")
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")
    return root


def settings(tmp_path: Path, **changes: object) -> PreprocessConfig:
    return PreprocessConfig(
        input=tmp_path / "raw",
        output=tmp_path / "out",
        shape=32,
        spacing_mm=6.0,
    ).replace(**changes)


def test_a_bad_scan_is_listed_and_the_others_are_done(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw_folder(tmp_path / "raw", good=2, bad=1, write=write_brain)
    seen: list[Progress] = []

    outcome = preprocess(settings(tmp_path), seen.append)

    assert [one.item for one in outcome.failures] == ["sub-03"]
    assert "sub-03_T1w.nii.gz" in outcome.failures[0].reason
    page = tmp_path / "out" / "quality.html"
    assert outcome.message == (
        f"2 of 3 scans are preprocessed. 2 keep, 0 look, 1 reject: {page}"
    )
    assert outcome.results["quality"] == str(page)
    out = read_cohort(tmp_path / "out")
    assert [scan.key for scan in out.scans] == ["sub-01", "sub-02"]
    assert [scan.row["age"] for scan in out.scans] == ["61", "62"]
    assert "path" not in out.columns
    record = read_table(tmp_path / "out" / "preprocess.tsv")
    assert [row["status"] for row in record] == ["done", "done", "failed"]
    assert float(record[0]["dice"]) > 0.95
    states = [one.state for one in seen if one.state.startswith("item")]
    assert states == ["item_done", "item_done", "item_failed"]
    results = [one.values for one in seen if one.state == "result"]
    assert results == [
        {"kind": "derivatives", "path": str(tmp_path / "out")},
        {"kind": "quality", "path": str(page)},
    ]


def test_running_again_does_only_what_is_missing(
    tmp_path: Path, write_brain: WriteBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_folder(tmp_path / "raw", good=3, bad=0, write=write_brain)
    preprocess(settings(tmp_path), silent)
    one, two, three = (scan.path for scan in read_cohort(tmp_path / "out").scans)
    sidecar(two).unlink()  # half written
    write_brain(raw / "sub-03/anat/sub-03_T1w.nii.gz", shift_mm=(9, 0, 0))  # another
    kept, changed = one.stat().st_mtime_ns, three.read_bytes()

    outcome = preprocess(settings(tmp_path), silent)

    record = read_table(tmp_path / "out" / "preprocess.tsv")
    assert [row["status"] for row in record] == ["skipped", "done", "done"]
    assert "(1 were done before)" in outcome.message
    assert one.stat().st_mtime_ns == kept
    assert three.read_bytes() != changed
    assert float(record[0]["dice"]) > 0.95


def test_another_contract_or_overwrite_does_all_again(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw_folder(tmp_path / "raw", good=1, bad=0, write=write_brain)
    for changes in ({}, {"shape": 40}, {"shape": 40, "overwrite": True}):
        preprocess(settings(tmp_path, **changes), silent)
        record = read_table(tmp_path / "out" / "preprocess.tsv")
        assert [row["status"] for row in record] == ["done"]


def test_an_unexpected_error_fails_one_scan_and_shows_its_traceback(
    tmp_path: Path, write_brain: WriteBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_folder(tmp_path / "raw", good=1, bad=0, write=write_brain)

    def broken(*anything: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(scan_task, "preprocess_scan", broken)
    seen: list[Progress] = []
    outcome = preprocess(settings(tmp_path), seen.append)
    assert outcome.failures[0].reason == "ZeroDivisionError: by zero"
    warnings = [one.message for one in seen if one.state == "warning"]
    assert "Traceback" in warnings[0]


def test_stopping_keeps_what_is_done(tmp_path: Path, write_brain: WriteBrain) -> None:
    raw_folder(tmp_path / "raw", good=2, bad=0, write=write_brain)

    def stop(progress: Progress) -> None:
        if progress.state == "item_done":
            raise Cancelled

    with pytest.raises(Cancelled):
        preprocess(settings(tmp_path), stop)
    record = read_table(tmp_path / "out" / "preprocess.tsv")
    assert [row["participant_id"] for row in record] == ["sub-01"]
    assert list(read_quality(tmp_path / "out")) == ["sub-01"]
    assert (tmp_path / "out" / "quality.html").exists()


def test_a_finished_folder_gets_missing_measures_and_pictures(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw_folder(tmp_path / "raw", good=2, bad=0, write=write_brain)
    preprocess(settings(tmp_path), silent)
    out = tmp_path / "out"
    measured = read_quality(out)["sub-01"].measures
    decide(out, "sub-02", "reject", "tilted")
    picture = out / "figures" / "sub-01_quality.png"
    picture.unlink()
    image = read_cohort(out).scans[0].path
    notes = json.loads(sidecar(image).read_text())
    del notes["Quality"]["snr"]  # as an older version left it
    sidecar(image).write_text(json.dumps(notes))
    (out / "quality.html").unlink()
    before = image.stat().st_mtime_ns

    outcome = preprocess(settings(tmp_path), silent)

    assert image.stat().st_mtime_ns == before
    assert picture.exists()
    rows = read_quality(out)
    assert rows["sub-01"].measures["snr"] == measured["snr"]
    assert rows["sub-02"].final == "reject"
    assert "1 reject" in outcome.message
    assert "tilted" in (out / "quality.html").read_text(encoding="utf-8")


def test_a_scan_that_does_not_fit_is_rejected_and_shown(
    tmp_path: Path, write_brain: WriteBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_folder(tmp_path / "raw", good=1, bad=0, write=write_brain)

    def unfit(*anything: object) -> None:
        raise RegistrationError("It does not fit.")

    monkeypatch.setattr(scan_task, "preprocess_scan", unfit)
    preprocess(settings(tmp_path), silent)
    row = read_quality(tmp_path / "out")["sub-01"]
    assert (row.verdict, row.measures) == ("reject", {})
    assert row.reason == "Could not be preprocessed: It does not fit."
    assert (tmp_path / "out" / "figures" / "sub-01_quality.png").exists()


def test_preprocessed_scans_are_refused(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw_folder(tmp_path / "raw", good=1, bad=0, write=write_brain)
    preprocess(settings(tmp_path), silent)
    again = settings(tmp_path, input=tmp_path / "out", output=tmp_path / "more")
    with pytest.raises(CohortError, match="preprocessed already"):
        preprocess(again, silent)


def test_the_raw_folder_is_no_place_for_the_derivatives(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw = raw_folder(tmp_path / "raw", good=0, bad=1, write=write_brain)
    before = (raw / "participants.tsv").read_bytes()
    with pytest.raises(CohortError, match="a folder of its own"):
        preprocess(settings(tmp_path, output=raw), silent)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dataset_description.json").write_text('{"Name": "other"}')
    with pytest.raises(CohortError, match="another dataset"):
        preprocess(settings(tmp_path), silent)
    assert (raw / "participants.tsv").read_bytes() == before


def test_labels_of_an_earlier_cohort_are_kept(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw_folder(tmp_path / "raw", good=0, bad=1, write=write_brain)
    preprocess(settings(tmp_path), silent)
    (tmp_path / "raw").rename(tmp_path / "first")
    second = raw_folder(tmp_path / "raw", good=0, bad=1, write=write_brain)
    (second / "sub-01").rename(second / "sub-09")
    scan = second / "sub-09" / "anat" / "sub-01_T1w.nii.gz"
    scan.rename(scan.with_name("sub-09_T1w.nii.gz"))
    (second / "participants.tsv").write_text("participant_id\tsex\nsub-09\tF\n")
    preprocess(settings(tmp_path), silent)
    rows = read_table(tmp_path / "out" / "participants.tsv")
    assert [row["participant_id"] for row in rows] == ["sub-01", "sub-09"]
    assert [row["age"] for row in rows] == ["61", "n/a"]
    assert [row["sex"] for row in rows] == ["n/a", "F"]


def test_several_processes_give_the_same_records(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw_folder(tmp_path / "raw", good=0, bad=2, write=write_brain)
    seen: list[Progress] = []
    outcome = preprocess(settings(tmp_path, workers=2), seen.append)
    assert [one.item for one in outcome.failures] == ["sub-01", "sub-02"]
    assert all("_T1w.nii.gz" in one.reason for one in outcome.failures)
    record = read_table(tmp_path / "out" / "preprocess.tsv")
    assert all(100 < float(row["peak_mib"]) < 4096 for row in record)
    (peak,) = (one for one in seen if one.state == "metric")
    highest = max(float(row["peak_mib"]) for row in record)
    assert peak.values["peak_mib"] == pytest.approx(highest, abs=1)


def test_leftovers_of_a_killed_run_are_cleaned_up(
    tmp_path: Path, write_brain: WriteBrain
) -> None:
    raw_folder(tmp_path / "raw", good=0, bad=1, write=write_brain)
    out = tmp_path / "out"
    anat = out / "sub-01" / "anat"
    anat.mkdir(parents=True)
    gone = [
        out / ".preprocess.tsv.ab12_xyz",
        anat / ".part-12-sub-01_space-MNI152_desc-preproc_T1w.nii.gz",
        anat / ".sub-01_space-MNI152_desc-preproc_T1w.json.ab12_xyz",
    ]
    kept = [out / ".bidsignore", anat / ".part-12-sub-011_desc-brain_mask.nii.gz"]
    for path in (*gone, *kept):
        path.touch()
        os.utime(path, (0, 0))
    young = out / ".participants.tsv.ab12_xyz"  # perhaps another run's
    young.touch()
    preprocess(settings(tmp_path), silent)
    assert not [path for path in gone if path.exists()]
    assert all(path.exists() for path in (*kept, young))
