"""Worker processes: bounded, quiet, gone when stopped; and a cluster of somebody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.errors import Cancelled, ConfigError
from napari_neuropretrain.preprocessing import dask_workers, remote_cluster
from napari_neuropretrain.preprocessing.dask_workers import (
    run_in_processes,
    run_on_cluster,
)
from napari_neuropretrain.preprocessing.scan_task import ScanRecord, ScanTask
from napari_neuropretrain.preprocessing.shared_files import SharedFiles, marked
from napari_neuropretrain.progress import Progress, silent

Do = Callable[[ScanTask, Any], ScanRecord]


def tasks_in(folder: Path, count: int) -> list[ScanTask]:
    """Scans that are there, for functions that do not look at them."""
    tasks = []
    for number in range(1, count + 1):
        path = folder / f"sub-{number}_T1w.nii.gz"
        path.touch()
        scan = Scan(f"sub-{number}", None, path, {"age": "60"})
        tasks.append(ScanTask(scan, folder, PreprocessingContract()))
    (folder / "dataset_description.json").touch()
    return tasks


def workers() -> list[psutil.Process]:
    """Child processes that multiprocessing has spawned."""
    children = psutil.Process().children(recursive=True)
    return [one for one in children if "spawn_main" in " ".join(command_of(one))]


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def all_ports() -> set[str]:
    ours = [psutil.Process(), *workers()]
    connections = [one for process in ours for one in process.net_connections("inet")]
    return {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}


def test_lost_workers_cost_only_guilty_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def do(task: ScanTask, files: Any) -> ScanRecord:
        import os
        import signal

        marker = task.output / "killed_once"
        if task.scan.participant == "sub-1":
            return ScanRecord(task.scan, "done", reason=os.environ["OMP_NUM_THREADS"])
        if task.scan.participant == "sub-2" and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if task.scan.participant == "sub-3":
            bytearray(1 << 31)[::4096] = b"1" * (1 << 19)
            time.sleep(30)
        if task.scan.participant == "sub-4":
            raise ZeroDivisionError("by zero")
        return ScanRecord(task.scan, "done")

    monkeypatch.setattr(dask_workers, "do_scan", do)
    ports: set[str] = set()
    said: list[Progress] = []

    records = {}
    for record in run_in_processes(tasks_in(tmp_path, 4), 2, 1.5, said.append):
        records[record.scan.key] = record
        ports |= all_ports()

    assert [records[f"sub-{n}"].status for n in (1, 2, 3, 4)] == [
        "done",
        "done",
        "failed",
        "failed",
    ]
    assert records["sub-1"].reason == "1"
    assert records["sub-1"].scan.row == {"age": "60"}
    assert "more than the 1.5 GiB" in records["sub-3"].reason
    assert "memory_gib" in records["sub-3"].reason
    assert records["sub-4"].reason == "The worker failed: ZeroDivisionError: by zero"
    assert ports == {"127.0.0.1"}
    assert "heartbeat" in {one.state for one in said}
    assert not workers()
    assert capfd.readouterr() == ("", "")


def test_stopping_ends_the_processes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def do(task: ScanTask, files: Any) -> ScanRecord:
        time.sleep(300)
        raise AssertionError

    seen: list[float] = []

    def stop(progress: Progress) -> None:
        seen.append(time.monotonic())
        raise Cancelled

    monkeypatch.setattr(dask_workers, "do_scan", do)
    monkeypatch.setattr(dask_workers, "HEARTBEAT_S", 0.2)
    with pytest.raises(Cancelled):
        list(run_in_processes(tasks_in(tmp_path, 2), 2, 4.0, stop))
    assert len(seen) == 1
    assert time.monotonic() - seen[0] < 30
    assert not workers()


def test_a_kill_by_the_system_is_told_from_one_for_memory() -> None:
    client: Any = SimpleNamespace(
        get_events=lambda topic: [(0.0, {"worker": "tcp://a"})]
    )
    scan = Scan("sub-1", None, Path("t1.nii.gz"))
    task = ScanTask(scan, Path("out"), PreprocessingContract())

    def why(address: str, memory_gib: float | None) -> str:
        error = SimpleNamespace(last_worker=SimpleNamespace(address=address))
        future: Any = SimpleNamespace(exception=lambda: error)
        return dask_workers._why_killed(client, task, future, memory_gib)

    assert "killed by the system" in why("tcp://b", 4.0)
    assert "more than the 4 GiB" in why("tcp://a", 4.0)
    assert "a worker of the cluster may use" in why("tcp://a", None)


@pytest.fixture(scope="module")
def somebodys_cluster() -> Iterator[LocalCluster]:
    """A scheduler on TCP with one worker, in this process."""
    with LocalCluster(
        n_workers=1,
        processes=False,
        protocol="tcp://",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "dashboard": False},
    ) as cluster:
        yield cluster


def test_a_running_cluster_does_the_work_and_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, somebodys_cluster: LocalCluster
) -> None:
    address = somebodys_cluster.scheduler_address
    monkeypatch.chdir(tmp_path)
    tasks = tasks_in(Path(), 3)
    records = list(run_on_cluster(tasks, address, silent))
    # Empty files: each task reached the real preprocessing.
    assert {record.scan.key for record in records} == {"sub-1", "sub-2", "sub-3"}
    assert all(str(tmp_path / record.scan.key) in record.reason for record in records)
    assert not list(tmp_path.glob(".run-*"))

    monkeypatch.setattr(dask_workers, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(dask_workers, "do_scan", lambda task, files: time.sleep(1))
    with pytest.raises(Cancelled):
        list(run_on_cluster(tasks, address, stop_at_heartbeat))
    with Client(somebodys_cluster, set_as_default=False) as client:
        assert len(client.nthreads()) == 1
        assert client.submit(sum, (1, 2)).result() == 3


def stop_at_heartbeat(progress: Progress) -> None:
    if progress.state == "heartbeat":
        raise Cancelled


def test_workers_must_see_the_files_and_have_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, somebodys_cluster: LocalCluster
) -> None:
    address = somebodys_cluster.scheduler_address
    (task,) = tasks_in(tmp_path, 1)
    monkeypatch.setattr("napari_neuropretrain.preprocessing.shared_files.PATIENCE_S", 0)
    task.scan.path.unlink()  # as good as on another file system
    with pytest.raises(ConfigError, match=r"does not see the scan .*sub-1_T1w.*tcp://"):
        list(run_on_cluster([task], address, silent))
    with marked(tmp_path) as files:
        unseen = SharedFiles(tmp_path / "elsewhere" / files.witness.name)
        assert f"output folder '{tmp_path / 'elsewhere'}'" in unseen.problem(tmp_path)
        assert files.problem(tmp_path) == ""
        other = SharedFiles(files.witness, "0.0.1")
        assert "but 0.0.1 gives the tasks" in other.problem(tmp_path)


def test_a_scheduler_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_cluster, "CONNECT_S", 0.2)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at 'tcp://127"):
        list(run_on_cluster(tasks_in(tmp_path, 1), "tcp://127.0.0.1:9", silent))
