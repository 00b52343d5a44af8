"""Make the volumes of a source, here or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from napari_neuropretrain.errors import (
    BrainMaskError,
    Cancelled,
    CohortError,
    ImageError,
    NeuropretrainError,
    RegistrationError,
)
from napari_neuropretrain.preprocessing.synthetic_files import PlannedVolume
from napari_neuropretrain.process_settings import THREAD_VARIABLES, settle_process
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource

HEARTBEAT_S = 1.0
"""How often the wish to stop is looked for."""
KILLED = (
    "the process that made it was killed by the system, probably because memory ran "
    "out: use fewer workers"
)
_OF_ONE_VOLUME = (ImageError, BrainMaskError, RegistrationError, CohortError)
_DISK_FULL = 28


@dataclass(frozen=True)
class Made:
    """What became of a volume; `reason` is why it failed, or empty."""

    planned: PlannedVolume
    reason: str = ""


Running: TypeAlias = "dict[Future[Made], PlannedVolume]"


def make_volume(source: VolumeSource, planned: PlannedVolume) -> Made:
    """Make and write one volume; what is wrong with this one alone becomes a reason.

    Raises
    ------
    NeuropretrainError
        If it would be wrong with every volume, such as missing weights.
    OSError
        If the disk is full.
    """
    try:
        planned.write(source.volume(planned.index)[0].numpy())
    except _OF_ONE_VOLUME as error:
        return Made(planned, str(error))
    except (Cancelled, NeuropretrainError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == _DISK_FULL:
            raise
        return Made(planned, f"{type(error).__name__}: {error}")
    return Made(planned)


def make_volumes(
    source: VolumeSource,
    planned: Sequence[PlannedVolume],
    workers: int,
    report: Report,
) -> Generator[Made, None, None]:
    """Yield what became of each volume, in the order they are finished.

    When a process is killed, what it and its neighbours were making is made once
    more, each alone, so that only a guilty one fails.

    Parameters
    ----------
    source
        Gives the volumes; it travels to each process.
    planned
        What to write.
    workers
        Processes; 1 works in this one.
    report
        Hears a heartbeat every second; raises `Cancelled` to stop, which ends the
        processes.
    """
    if workers == 1 or len(planned) < 2:
        for one in planned:
            yield make_volume(source, one)
        return
    suspects: list[PlannedVolume] = []
    waiting = list(reversed(planned))
    while waiting:
        count = min(workers, len(waiting))
        suspects += yield from _in_pool(source, waiting, count, report)
    for suspect in suspects:
        if (yield from _in_pool(source, [suspect], 1, report)):
            yield Made(suspect, KILLED)


def _in_pool(
    source: VolumeSource, waiting: list[PlannedVolume], workers: int, report: Report
) -> Generator[Made, None, list[PlannedVolume]]:
    """Take volumes off `waiting` until none is left or a process was killed.

    Returns what was under way when that happened.
    """
    running: Running = {}
    with _pool(source, workers) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < 2 * workers:
                    one = waiting[-1]
                    running[pool.submit(_make, one)] = one
                    waiting.pop()
                ended, _ = wait(running, HEARTBEAT_S, return_when=FIRST_COMPLETED)
                for future in ended:
                    made = future.result()
                    del running[future]
                    yield made
                report(Progress("heartbeat"))
        except BrokenProcessPool:
            return list(running.values())
    return []


@contextmanager
def _pool(source: VolumeSource, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes of one thread each; they are gone at the end."""
    context = multiprocessing.get_context("spawn")
    with _one_thread():
        pool = ProcessPoolExecutor(workers, context, _settle, (source,))
        try:
            yield pool
        finally:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()
            for process in processes:
                process.join()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Set what processes inherit: libraries read it once, when they are loaded."""
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name in THREAD_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(before)


_source: list[VolumeSource] = []


def _settle(source: VolumeSource) -> None:
    """Take the source into a new process."""
    # Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle_process()
    _source[:] = [source]


def _make(planned: PlannedVolume) -> Made:
    return make_volume(_source[0], planned)
