"""The job: resume, bad scans, killed workers, stopping."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_neuropretrain.config.jobs import PreprocessConfig
from napari_neuropretrain.data.participants import read_cohort
from napari_neuropretrain.data.tables import read_table
from napari_neuropretrain.errors import Cancelled, CohortError
from napari_neuropretrain.preprocessing import scan_task, worker_pool
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
    assert outcome.message == "2 of 3 scans are preprocessed."
    out = read_cohort(tmp_path / "out")
    assert [scan.key for scan in out.scans] == ["sub-01", "sub-02"]
    assert [scan.row["age"] for scan in out.scans] == ["61", "62"]
    assert "path" not in out.columns
    record = read_table(tmp_path / "out" / "preprocess.tsv")
    assert [row["status"] for row in record] == ["done", "done", "failed"]
    assert float(record[0]["dice"]) > 0.95
    states = [one.state for one in seen if one.state.startswith("item")]
    assert states == ["item_done", "item_done", "item_failed"]
    assert seen[-1].values == {"kind": "derivatives", "path": str(tmp_path / "out")}


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


def test_a_killed_worker_costs_no_scan(
    tmp_path: Path, write_brain: WriteBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two processes are killed; their scans are looked at again."""
    raw_folder(tmp_path / "raw", good=0, bad=2, write=write_brain)
    monkeypatch.setattr(worker_pool, "WAIT_S", 0.05)
    killed: list[int | None] = []

    def kill_once(progress: Progress) -> None:
        if progress.state == "heartbeat" and not killed:
            for child in multiprocessing.active_children():
                killed.append(child.pid)
                child.kill()

    outcome = preprocess(settings(tmp_path, workers=2), kill_once)

    assert len(killed) == 2
    assert [one.item for one in outcome.failures] == ["sub-01", "sub-02"]
    assert all("_T1w.nii.gz" in one.reason for one in outcome.failures)
    assert not any("killed by the system" in one.reason for one in outcome.failures)


def test_a_scan_that_kills_its_worker_twice_fails(
    tmp_path: Path, write_brain: WriteBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_folder(tmp_path / "raw", good=0, bad=2, write=write_brain)
    monkeypatch.setattr(worker_pool, "WAIT_S", 0.05)

    def kill(progress: Progress) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    outcome = preprocess(settings(tmp_path, workers=2), kill)
    assert len(outcome.failures) == 2
    assert all("killed by the system" in one.reason for one in outcome.failures)


def test_stopping_ends_the_workers(
    tmp_path: Path, write_brain: WriteBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_folder(tmp_path / "raw", good=0, bad=3, write=write_brain)
    monkeypatch.setattr(worker_pool, "WAIT_S", 0.05)

    def stop(progress: Progress) -> None:
        if progress.state == "heartbeat":
            raise Cancelled

    with pytest.raises(Cancelled):
        preprocess(settings(tmp_path, workers=2), stop)
    for child in multiprocessing.active_children():
        child.join(10)
    assert not multiprocessing.active_children()
