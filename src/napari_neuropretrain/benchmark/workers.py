"""Run units one after the other, or several at a time through Dask.

A worker only starts child processes and waits for them: a training that is killed,
because memory ran out, for example, takes nothing with it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain import __version__
from napari_neuropretrain.benchmark.launching import Order, launch, order_of
from napari_neuropretrain.benchmark.steps import Unit
from napari_neuropretrain.config.benchmarking import BenchmarkConfig
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.runs import EXIT_FAILED, STOP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

_LOOK_S = 0.2
_WORKER_GIB = 4.0
"""More than a process needs that only waits."""


def run_units(
    units: Sequence[Unit], config: BenchmarkConfig, report: Report
) -> Generator[tuple[Unit, int], None, None]:
    """Yield each unit with the exit code of its process, as they end.

    Parameters
    ----------
    units
        With something to do; they do not depend on each other.
    config
        Workers, devices or scheduler, and the output with the stop file.
    report
        Hears heartbeats; may raise `Cancelled`, and then the processes keep their
        checkpoints and leave.

    Raises
    ------
    ConfigError
        If nothing answers at the scheduler, or a worker cannot be used.
    """
    orders = [(unit, order_of(unit, config.output)) for unit in units]
    if not orders:
        return
    if not config.scheduler and config.workers == 1:
        device = config.worker_devices[0] if config.worker_devices else ""

        def beat() -> None:
            report(Progress("heartbeat"))

        for unit, order in orders:
            beat()
            yield unit, launch(order, device, beat)
        return
    with _cluster(config, min(config.workers, len(orders))) as client:
        yield from _ended(client, orders, config, report)


@contextmanager
def _cluster(config: BenchmarkConfig, workers: int) -> Iterator[Client]:
    # Here, since it takes a second that one worker does not need.
    from napari_neuropretrain.preprocessing.local_cluster import local_cluster
    from napari_neuropretrain.preprocessing.remote_cluster import (
        ask_workers,
        remote_cluster,
    )

    if not config.scheduler:
        with local_cluster(workers, 1, _WORKER_GIB) as client:
            yield client
        return
    with remote_cluster(config.scheduler) as client:
        ask_workers(client, worker_problem, config.output.absolute(), __version__)
        yield client


def worker_problem(output: Path, version: str) -> str:
    """Say why a worker cannot be used; called in it."""
    if version != __version__:
        return f"a worker has version {__version__}, not {version}. Install the same."
    if not output.is_dir():
        return (
            f"a worker does not see '{output}'. Use a folder that all machines share."
        )
    return ""


def work(order: Order, devices: Sequence[str]) -> int:
    """Run one order; called in a worker, which has a number on one machine."""
    from distributed import get_worker

    name = str(get_worker().name)
    number = int(name) if name.isdecimal() else 0
    return launch(order, devices[number % len(devices)] if devices else "")


def _ended(
    client: Client,
    orders: Sequence[tuple[Unit, Order]],
    config: BenchmarkConfig,
    report: Report,
) -> Generator[tuple[Unit, int], None, None]:
    """Yield units as they end; stop those under way if the caller leaves."""
    waiting: dict[Any, Unit] = {
        client.submit(
            work, order, config.worker_devices, key=f"cell-{index}", pure=False
        ): unit
        for index, (unit, order) in enumerate(orders)
    }
    try:
        while waiting:
            report(Progress("heartbeat"))
            for future in [one for one in waiting if one.done()]:
                yield waiting.pop(future), _code_of(future)
            time.sleep(_LOOK_S)
            if client.status != "running":
                raise NeuropretrainError(
                    "The connection to the Dask scheduler was lost. What is done is "
                    "kept: run the same command again."
                )
    finally:
        if waiting and client.status == "running":
            _stop(client, list(waiting), config.output)


def _code_of(future: Any) -> int:
    """Return the exit code; that of a lost worker says that its process was killed."""
    if future.status == "finished":
        return int(future.result())
    from distributed import KilledWorker

    return -9 if isinstance(future.exception(), KilledWorker) else EXIT_FAILED


def _stop(client: Client, futures: list[Any], output: Path) -> None:
    """Let the processes keep their checkpoints and leave."""
    (output / STOP).touch()
    client.cancel([one for one in futures if one.status == "pending"])
    until = time.monotonic() + 70
    while time.monotonic() < until and any(client.processing().values()):
        time.sleep(_LOOK_S)
