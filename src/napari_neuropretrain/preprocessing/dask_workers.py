"""Preprocess scans in several processes, here or on a cluster, through Dask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from napari_neuropretrain.preprocessing.scan_task import ScanRecord, ScanTask
from napari_neuropretrain.preprocessing.worker_pool import run_parallel
from napari_neuropretrain.progress import Report


def run_in_processes(
    tasks: Sequence[ScanTask], workers: int, memory_gib: float, report: Report
) -> Iterator[ScanRecord]:
    """Yield the record of each task as it is finished."""
    return run_parallel(tasks, workers, report)


def run_on_cluster(
    tasks: Sequence[ScanTask], scheduler: str, report: Report
) -> Iterator[ScanRecord]:
    """Yield the record of each task as it is finished."""
    raise NotImplementedError
