"""Preprocess scans in several processes, and survive the loss of one."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from napari_neuropretrain.preprocessing.scan_task import (
    ScanRecord,
    ScanTask,
    run_task,
)
from napari_neuropretrain.process_settings import settle_process
from napari_neuropretrain.progress import Progress, Report

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
WAIT_S = 2.0
"""How often the wish to stop is looked for."""


def run_parallel(
    tasks: Sequence[ScanTask], workers: int, report: Report
) -> Iterator[ScanRecord]:
    """Yield the record of each task as it is finished.

    When a worker is killed, for example because memory ran out, the scans under
    way are done again one at a time, so that only the guilty one fails.

    Parameters
    ----------
    tasks
        What to do.
    workers
        Processes.
    report
        Hears a heartbeat every two seconds; raises `Cancelled` to stop, which
        ends the processes.
    """
    threads = max((task.threads for task in tasks), default=1)
    with _limited_threads(threads):
        waiting = deque(tasks)
        suspects: list[ScanTask] = []
        while waiting:
            suspects += yield from _run_until_broken(waiting, workers, report)
        for task in suspects:
            again = deque([task])
            if (yield from _run_until_broken(again, 1, report)):
                yield _killed(task)


def _run_until_broken(
    waiting: deque[ScanTask], workers: int, report: Report
) -> Generator[ScanRecord, None, list[ScanTask]]:
    """Empty `waiting`; return the tasks under way when a worker was killed."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(waiting)), mp_context=context, initializer=settle_process
    )
    running: dict[Future[ScanRecord], ScanTask] = {}
    try:
        while waiting or running:
            # No more than the workers can hold: what is under way may be lost.
            while waiting and len(running) < workers:
                running[pool.submit(run_task, waiting[0])] = waiting[0]
                waiting.popleft()
            finished, _ = wait(running, WAIT_S, FIRST_COMPLETED)
            if not finished:
                report(Progress("heartbeat"))
            for future in finished:
                record = future.result()
                del running[future]
                yield record
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if running:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
    return []


def _killed(task: ScanTask) -> ScanRecord:
    return ScanRecord(
        task.scan,
        "failed",
        reason=(
            f"The process that worked on '{task.scan.path}' was killed by the system, "
            "probably because memory ran out. Use fewer workers, or close other "
            "programs."
        ),
    )


@contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    """Let processes started here use so many threads: libraries read this once."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
