"""The job ``pack``: what is packed, kept, packed again and refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.config.packing import PackConfig
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.quality import QualityRow, write_quality
from napari_neuropretrain.data.store import VolumeStore, open_store
from napari_neuropretrain.errors import (
    Cancelled,
    CohortError,
    ConfigError,
    ContractError,
    NeuropretrainError,
)
from napari_neuropretrain.preprocessing import packing
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.preprocessing.packing import ShardTask
from napari_neuropretrain.progress import Outcome, Progress, silent
from napari_neuropretrain.runs import execute

Write = Callable[..., Path]


def pack(folder: Path, output: Path, **settings: Any) -> Outcome:
    values = {"volumes_per_shard": 4, "input": folder, "output": output} | settings
    outcome: Outcome = JOBS["pack"].load()(PackConfig.parse(values), silent)
    return outcome


def keys(store: VolumeStore) -> list[str]:
    return [key.decode() for key in store.keys().tolist()]


def texts(store: VolumeStore, name: str) -> list[str]:
    column = store.column(name)
    return [word.decode() for word in column.words[column.codes].tolist()]


def shards(output: Path) -> dict[str, int]:
    """When each shard was written."""
    files = sorted((output / "volumes.zarr/c").glob("*/0/0/0"))
    return {file.parts[-4]: file.stat().st_mtime_ns for file in files}


@pytest.fixture
def cohort(write_volume: Write, tmp_path: Path) -> Path:
    """Six preprocessed scans with a table."""
    root = tmp_path / "derivatives"
    lines = ["participant_id\tage\tsex"]
    for number in range(6):
        write_volume(root, Scan(f"sub-{number}", None, Path("raw.nii.gz")), number)
        lines.append(f"sub-{number}\t{40 + number}\t{'FM'[number % 2]}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


def image_of(root: Path, name: str) -> Path:
    (path,) = root.glob(f"{name}/anat/*_desc-preproc_T1w.nii.gz")
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cohort_is_packed(cohort: Path, tmp_path: Path, workers: int) -> None:
    output = tmp_path / "packed"
    config = PackConfig(
        input=cohort, output=output, volumes_per_shard=4, workers=workers
    )
    outcome = execute(JOBS, "pack", config)
    assert outcome.failures == ()
    assert outcome.message.startswith("6 volumes in")
    store = open_store(output)
    assert keys(store) == [f"sub-{number}" for number in range(6)]
    assert texts(store, "age") == [str(40 + number) for number in range(6)]
    assert len(shards(output)) == 2
    for row in range(6):
        image = read_derivative(image_of(cohort, f"sub-{row}")).image
        assert np.abs(store.read(row) - image).max() <= np.abs(image).max() * 2.0**-11
        assert np.array_equal(store.read(row) == 0, image == 0)
    assert (output / "events.jsonl").exists()


def test_running_again_packs_what_is_new_changed_or_gone(
    cohort: Path, write_volume: Write, tmp_path: Path
) -> None:
    output = tmp_path / "packed"
    pack(cohort, output)
    first = shards(output)
    assert "6 were there before" in pack(cohort, output).message
    assert shards(output) == first
    write_volume(cohort, Scan("sub-6", None, Path("raw.nii.gz")), 6)
    write_volume(cohort, Scan("sub-2", None, Path("raw.nii.gz")), 99)
    shutil.rmtree(cohort / "sub-0")
    row = QualityRow("sub-1", "sub-1", None, "reject", "no brain")
    write_quality(cohort, {"sub-1": row})
    os.utime(image_of(cohort, "sub-3"))  # touched, but the same
    message = pack(cohort, output).message
    assert "5 volumes" in message
    assert "3 were there before" in message
    assert "2 are no longer in the cohort" in message
    store = open_store(output)
    assert keys(store) == ["sub-2", "sub-3", "sub-4", "sub-5", "sub-6"]
    image = read_derivative(image_of(cohort, "sub-2")).image
    assert np.abs(store.read(0) - image).max() < 1e-2
    assert {name: shards(output)[name] for name in first} == first
    assert len(shards(output)) == len(first) + 1


def test_a_new_table_changes_labels_and_no_volume(cohort: Path, tmp_path: Path) -> None:
    output = tmp_path / "packed"
    pack(cohort, output)
    first = shards(output)
    remark = "x" * 300
    table = f"participant_id\tage\tremark\nsub-1\t77\t{remark}\n"
    (cohort / "participants.tsv").write_text(table)
    heard: list[Progress] = []
    config = PackConfig(input=cohort, output=output)
    JOBS["pack"].load()(config, heard.append)
    store = open_store(output)
    assert texts(store, "age") == ["", "77", "", "", "", ""]
    assert store.header.columns == ("participant_id", "age")
    assert any("'remark' has long texts" in one.message for one in heard)
    assert shards(output) == first


KILLED = """
import os, signal, sys
from pathlib import Path
from napari_neuropretrain.config.packing import PackConfig
from napari_neuropretrain.training.pack import pack
def report(progress):
    if progress.state == "step" and progress.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
settings = dict(input=sys.argv[1], output=sys.argv[2], volumes_per_shard=2)
pack(PackConfig.parse(settings), report)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_run_goes_on_where_it_was(cohort: Path, tmp_path: Path) -> None:
    output = tmp_path / "packed"
    command = [sys.executable, "-c", KILLED, str(cohort), str(output)]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    written = shards(output)
    assert list(written) == ["0", "1"]  # the fifth volume is of the third shard
    with pytest.raises(CohortError, match="unfinished"):
        open_store(output)
    assert "4 were there before" in pack(cohort, output).message
    assert {name: shards(output)[name] for name in written} == written
    whole = tmp_path / "whole"
    pack(cohort, whole)
    one, other = open_store(output), open_store(whole)
    assert keys(one) == keys(other)
    for row in range(6):
        assert np.array_equal(one.read(row), other.read(row))


def die(task: ShardTask) -> None:
    os._exit(9)


@pytest.mark.filterwarnings("ignore:This process .* multi-threaded")  # Python 3.12
@pytest.mark.skipif(sys.platform != "linux", reason="the patch travels by fork")
def test_a_process_that_dies_is_told(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "pack_shard", die)
    monkeypatch.setattr(packing, "get_context", lambda _: get_context("fork"))
    with pytest.raises(NeuropretrainError, match=r"One of 2 processes died.*run it"):
        pack(cohort, tmp_path / "packed", workers=2)


def test_a_stopped_run_leaves_the_store_as_it_was(
    cohort: Path, write_volume: Write, tmp_path: Path
) -> None:
    output = tmp_path / "packed"
    pack(cohort, output)
    write_volume(cohort, Scan("sub-7", None, Path("raw.nii.gz")), 7)

    def stop(progress: Progress) -> None:
        if progress.message == "Packing":
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        JOBS["pack"].load()(PackConfig(input=cohort, output=output), stop)
    assert len(open_store(output)) == 6
    pack(cohort, output)
    assert len(open_store(output)) == 7


def test_a_damaged_volume_is_packed_again(cohort: Path, tmp_path: Path) -> None:
    output = tmp_path / "packed"
    pack(cohort, output, precision="int8")
    before = [open_store(output).read(row) for row in range(6)]
    shard = output / "volumes.zarr/c/0/0/0/0"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    heard: list[Progress] = []
    config = PackConfig(input=cohort, output=output, precision="int8", verify=True)
    JOBS["pack"].load()(config, heard.append)
    warnings = [one.message for one in heard if one.state == "warning"]
    assert warnings == ["sub-0 is packed again: its checksum differs."]
    store = open_store(output)
    assert all(np.array_equal(store.read(row), before[row]) for row in range(6))


def test_two_cohorts_share_a_store(
    cohort: Path, write_volume: Write, tmp_path: Path
) -> None:
    output, other = tmp_path / "packed", tmp_path / "other"
    pack(cohort, output)
    write_volume(other, Scan("sub-10", "ses-1", Path("raw.nii.gz")), 10)
    (other / "participants.tsv").write_text("participant_id\tsite\nsub-10\tB\n")
    pack(other, output)
    store = open_store(output)
    assert keys(store) == ["sub-0", "sub-1", "sub-10_ses-1", *keys(store)[3:]]
    assert texts(store, "site") == ["", "", "B", "", "", "", ""]
    assert texts(store, "age")[:4] == ["40", "41", "", "42"]
    assert store.rows_of("sub-10") == [2]
    write_volume(other, Scan("sub-1", None, Path("raw.nii.gz")), 55)
    with pytest.raises(CohortError, match=r"another 'sub-1', from .*derivatives"):
        pack(other, output)
    moved = tmp_path / "moved"
    shutil.move(cohort, moved)
    assert "7 were there before" in pack(moved, output).message


def test_bad_scans_are_listed_and_left_out(cohort: Path, tmp_path: Path) -> None:
    path = image_of(cohort, "sub-4")
    path.write_bytes(path.read_bytes()[:2000])
    outcome = pack(cohort, tmp_path / "packed")
    assert [failure.item for failure in outcome.failures] == ["sub-4"]
    assert len(open_store(tmp_path / "packed")) == 5


def test_another_contract_or_precision_is_refused(
    cohort: Path, write_volume: Write, tmp_path: Path
) -> None:
    output, other = tmp_path / "packed", tmp_path / "other"
    pack(cohort, output)
    scan = Scan("sub-a", None, Path("raw.nii.gz"))
    contract = PreprocessingContract(shape=(24, 24, 24))
    write_volume(other, scan, 1, contract=contract)
    with pytest.raises(ContractError, match=r"shape: \(24, 24, 24\), not \(32, 32"):
        pack(other, output)
    with pytest.raises(ConfigError, match="holds float16; precision is int8"):
        pack(cohort, output, precision="int8")
    write_volume(cohort, scan, 1, contract=contract)
    with pytest.raises(ContractError, match="2 ways"):
        pack(cohort, output)
    shutil.rmtree(cohort / "sub-a")
    pack(cohort, output, precision="int8", overwrite=True)
    assert open_store(output).header.precision == "int8"


@pytest.fixture
def memory_url() -> Iterator[str]:
    """An address in fsspec's memory, which stands for object storage."""
    yield "memory://bucket/cohort.zarr"
    fsspec.filesystem("memory").store.clear()


def test_a_store_may_lie_in_object_storage(
    cohort: Path, tmp_path: Path, memory_url: str
) -> None:
    output = tmp_path / "run"
    pack(cohort, output, url=memory_url)
    assert not (output / "volumes.zarr").exists()
    assert "6 were there before" in pack(cohort, output, url=memory_url).message
    assert np.array_equal(open_store(memory_url).read(5) != 0, open_mask(cohort))
    pack(cohort, output, url=memory_url, overwrite=True, precision="int8")
    assert len(open_store(memory_url)) == 6


def open_mask(cohort: Path) -> np.ndarray:
    return read_derivative(image_of(cohort, "sub-5")).brain_mask
