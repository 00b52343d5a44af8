"""Dask workers as processes of this machine, with bounded memory and threads."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import dask
import psutil
from distributed import Client, LocalCluster

from napari_neuropretrain.process_settings import THREAD_VARIABLES, settle_worker

LOOPBACK = "127.0.0.1"
SETTINGS = {
    # The scan whose worker was lost is tried again by us, alone.
    "distributed.scheduler.allowed-failures": 0,
    # A task waits at the scheduler, not behind one that kills its worker.
    "distributed.scheduler.worker-saturation": 1.0,
    # Without pages, the server that each of them opens has nothing to show.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.multiprocessing-method": "spawn",
    # What a scan needs cannot be spilled, and a paused worker would never go on.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 1.0,
    "distributed.nanny.pre-spawn-environ": {},
}
MOST_OF_MEMORY = 0.95
"""Share of the machine's memory above which a limit would never be reached."""
LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application")


@contextmanager
def local_cluster(workers: int, threads: int, memory_gib: float) -> Iterator[Client]:
    """Start worker processes for the length of a ``with`` block.

    They listen on 127.0.0.1 only, log nothing to the terminal, and are gone at the
    end, whatever they are doing.

    Parameters
    ----------
    workers
        Processes; each does one scan at a time.
    threads
        CPU threads of each.
    memory_gib
        A process that holds more is ended.
    """
    with ExitStack() as stack:
        stack.enter_context(_environment(threads))
        stack.enter_context(dask.config.set(SETTINGS))
        stack.enter_context(quiet_loggers())
        cluster = stack.enter_context(_cluster(workers, memory_gib))
        client = stack.enter_context(Client(cluster, set_as_default=False))
        # Also in workers that are started later, in place of killed ones.
        client.register_worker_callbacks(partial(_settle, threads))
        yield client


@contextmanager
def _cluster(workers: int, memory_gib: float) -> Iterator[LocalCluster]:
    most = MOST_OF_MEMORY * psutil.virtual_memory().total
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=LOOPBACK,
        memory_limit=int(min(memory_gib * 2**30, most)),
        dashboard_address=None,
        # Any free port: 8787, the default, may be another program's.
        scheduler_kwargs={"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
        silence_logs=False,
    )
    try:
        yield cluster
    finally:
        _kill_workers(cluster)
        cluster.close()


def _kill_workers(cluster: LocalCluster) -> None:
    """End the processes now: Dask would wait for a scan, and 4 s for an idle one."""
    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # or it would start another one
        with suppress(psutil.NoSuchProcess, AttributeError):
            psutil.Process(nanny.pid).kill()


def _settle(threads: int) -> None:
    """Settle a worker; called in its main thread before its first scan."""
    # Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle_worker(threads)


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Set what worker processes inherit: libraries read it once, when loaded."""
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    os.environ["OMP_WAIT_POLICY"] = before.get("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "critical"
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def quiet_loggers() -> Iterator[None]:
    """Send Dask's messages to the log of the run, not to the terminal."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    for one in loggers:
        # A handler that says nothing keeps Python's last resort, stderr, out.
        one.handlers, one.propagate = [logging.NullHandler()], True
        one.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)
