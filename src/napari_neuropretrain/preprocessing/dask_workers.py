"""Preprocess scans in several processes, here or on a cluster, through Dask."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.preprocessing.cohort_tables import DESCRIPTION
from napari_neuropretrain.preprocessing.scan_task import (
    ScanRecord,
    ScanTask,
    run_task,
)
from napari_neuropretrain.preprocessing.shared_files import SharedFiles
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import Progress, Report

if TYPE_CHECKING:
    from distributed import Client, Future

HEARTBEAT_S = 2.0
"""How often the wish to stop is looked for."""
LOOK_S = 0.05
BATCH = 1000
"""Descriptions sent to the scheduler in one message."""
NO_WORKER_S = 60.0
"""So long a cluster may be without any worker before something is said."""
MEMORY_TOPIC = "worker-restart-memory"
"""Where Dask tells which workers it ended because of their memory."""

Ended: TypeAlias = "tuple[ScanTask, Future[ScanRecord]]"


def run_in_processes(
    tasks: Sequence[ScanTask], workers: int, memory_gib: float, report: Report
) -> Generator[ScanRecord, None, None]:
    """Yield the record of each task as it is finished by processes started here.

    When a process is killed, for example because memory ran out, its scan is tried
    once more, alone, so that only a guilty one fails.

    Parameters
    ----------
    tasks
        What to do.
    workers
        Processes.
    memory_gib
        Memory of each process.
    report
        Hears a heartbeat every two seconds; raises `Cancelled` to stop, which
        ends the processes.
    """
    # Here, since it takes a second that a single scan does not need.
    from napari_neuropretrain.preprocessing.local_cluster import local_cluster

    threads = max((task.threads for task in tasks), default=1)
    suspects: list[ScanTask] = []
    with local_cluster(min(workers, len(tasks)), threads, memory_gib) as client:
        with closing(_ended(client, tasks, None, report)) as ended:
            for task, future in ended:
                if _was_killed(future):
                    suspects.append(task)
                else:
                    yield _record(task, future)
        for suspect in suspects:
            with closing(_ended(client, [suspect], None, report)) as ended:
                for task, future in ended:
                    yield _last_record(client, task, future, memory_gib)


def run_on_cluster(
    tasks: Sequence[ScanTask], scheduler: str, report: Report
) -> Generator[ScanRecord, None, None]:
    """Yield the record of each task as it is finished by a running Dask cluster.

    The cluster decides about workers and memory, and how often a scan whose worker
    is lost is tried again (``distributed.scheduler.allowed-failures``). It is left
    as it was.

    Parameters
    ----------
    tasks
        What to do; all write into one folder.
    scheduler
        Address of its scheduler.
    report
        Hears a heartbeat every two seconds; raises `Cancelled` to stop.

    Raises
    ------
    ConfigError
        If nothing answers there, or a worker has another version of this package or
        does not see the files.
    """
    from napari_neuropretrain.preprocessing.remote_cluster import (
        check_workers,
        remote_cluster,
    )

    here = [_absolute(task) for task in tasks]
    files = SharedFiles(here[0].output / DESCRIPTION)
    with remote_cluster(scheduler) as client:
        check_workers(client, here[0], report)
        with closing(_ended(client, here, files, report)) as ended:
            for task, future in ended:
                yield _last_record(client, task, future, None)


def _absolute(task: ScanTask) -> ScanTask:
    """Name the files so that a process in another folder finds them."""
    scan = replace(task.scan, path=task.scan.path.absolute())
    return replace(task, scan=scan, output=task.output.absolute())


def do_scan(task: ScanTask, files: SharedFiles | None) -> ScanRecord:
    """Do one task; called in a worker."""
    settle_process()
    if files and (problem := files.problem(task.scan.path)):
        return _failed(task, problem)
    return run_task(task)


def _ended(
    client: Client,
    tasks: Sequence[ScanTask],
    files: SharedFiles | None,
    report: Report,
) -> Generator[Ended, None, None]:
    """Yield tasks as they end; take back those under way if the caller leaves."""
    from distributed import as_completed

    # The labels stay here: a task is a small description.
    small = [replace(task, scan=replace(task.scan, row={})) for task in tasks]
    futures = client.map(
        do_scan, small, files=files, key="preprocess", pure=False, batch_size=BATCH
    )
    waiting = dict(zip(futures, tasks, strict=True))
    ended = as_completed(futures, loop=client.loop)
    del futures  # an ended one is forgotten by the scheduler, too
    clock = _Clock(client, report, wait=files is not None)
    try:
        while waiting:
            clock.tick()
            for future in ended.next_batch(block=False):
                yield waiting.pop(future), future
                future.release()  # or its loss would have it computed again
            if not ended.has_ready():
                time.sleep(LOOK_S)
    finally:
        if waiting and client.status == "running":
            client.cancel(list(waiting), force=True)


class _Clock:
    """Sends heartbeats, and notices that there is no worker."""

    def __init__(self, client: Client, report: Report, wait: bool) -> None:
        self._client, self._report, self._wait = client, report, wait
        self._beat = self._seen = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._beat < HEARTBEAT_S:
            return
        self._beat = now
        self._report(Progress("heartbeat"))
        if self._client.status != "running":
            raise NeuropretrainError(
                "The connection to the Dask scheduler was lost. What is done is kept: "
                "run the same command again."
            )
        if self._client.nthreads():
            self._seen = now
        elif now - self._seen > NO_WORKER_S:
            self._miss_workers()
            self._seen = now

    def _miss_workers(self) -> None:
        since = f"There has been no Dask worker for {NO_WORKER_S:.0f} s"
        if not self._wait:
            raise NeuropretrainError(
                f"{since}: the processes cannot be started. What is done is kept. Run "
                "again with fewer workers (workers: 1 needs no Dask); see the run.log."
            )
        self._report(Progress("warning", f"{since}; waiting until one joins."))


def _was_killed(future: Future[ScanRecord]) -> bool:
    from distributed import KilledWorker

    return future.status == "error" and isinstance(future.exception(), KilledWorker)


def _last_record(
    client: Client,
    task: ScanTask,
    future: Future[ScanRecord],
    memory_gib: float | None,
) -> ScanRecord:
    """Return what became of a task that will not be tried again."""
    if _was_killed(future):
        return _failed(task, _why_killed(client, task, future, memory_gib))
    return _record(task, future)


def _record(task: ScanTask, future: Future[ScanRecord]) -> ScanRecord:
    """Return what became of a task; whatever went wrong on the way fails it alone."""
    from distributed import CancelledError

    try:
        record: ScanRecord = future.result()
    except CancelledError:
        raise NeuropretrainError(
            "The Dask scheduler gave the scans up, or the connection to it was lost. "
            "What is done is kept: run the same command again."
        ) from None
    except Exception as error:  # noqa: BLE001 - one bad scan never stops a cohort
        return _failed(task, f"The worker failed: {type(error).__name__}: {error}")
    return replace(record, scan=task.scan)


def _failed(task: ScanTask, reason: str) -> ScanRecord:
    return ScanRecord(task.scan, "failed", reason=reason)


def _why_killed(
    client: Client, task: ScanTask, future: Future[ScanRecord], memory_gib: float | None
) -> str:
    """Say why a scan's process is gone; `memory_gib` is None on a cluster."""
    error: Any = future.exception()
    path, worker = f"'{task.scan.path}'", error.last_worker.address
    events: Any = client.get_events(MEMORY_TOPIC)
    if not any(event["worker"] == worker for _, event in events):
        return (
            f"The process that worked on {path} was killed by the system, probably "
            "because memory ran out. Use fewer workers, or close other programs."
        )
    if memory_gib is None:
        return f"{path} needs more memory than a worker of the cluster may use."
    return (
        f"{path} needs more than the {memory_gib:g} GiB that a worker may use. Raise "
        "memory_gib, with fewer workers if the machine has not enough memory for all."
    )
