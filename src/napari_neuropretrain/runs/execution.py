"""The one way a job is executed, recorded and stopped."""

from __future__ import annotations

import logging
import os
import platform
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import Config, write_text
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.errors import Cancelled, NeuropretrainError
from napari_neuropretrain.progress import Outcome, Progress, Report, silent
from napari_neuropretrain.ranks import Ranks, find_ranks
from napari_neuropretrain.runs.device_queue import DeviceQueue, device_of
from napari_neuropretrain.runs.failures import (
    EXIT_DONE,
    EXIT_FAILED,
    cause_of,
    explain_failure,
)
from napari_neuropretrain.runs.folder import (
    CONFIG,
    LOG,
    cannot_write,
    check_inputs,
    clear_requests,
    output_of,
)
from napari_neuropretrain.runs.process import check_free
from napari_neuropretrain.runs.recorder import LOOK_S, Recorder, heartbeat, log_to

logger = logging.getLogger("napari_neuropretrain")


def execute(
    jobs: Registry,
    job: str,
    config: Config,
    listen: Report = silent,
    queue: DeviceQueue | None = None,
) -> Outcome:
    """Run a job in its run folder (`config.output`) and return what it says.

    Parameters
    ----------
    jobs
        Where the job is found by its name.
    job, config
        What to run.
    listen
        Hears what is recorded.
    queue
        Where the job waits until its device is free; None: it begins at once.

    Raises
    ------
    Cancelled
        If the job was asked to stop.
    NeuropretrainError
        If it failed for a reason that can be explained.
    """
    entry = jobs[job]
    check_inputs(config)
    ranks = ranks_of(config)
    if ranks.world > 1:
        # Before torch is loaded: it would warn of each way to gain a percent.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if ranks.rank:
        return _follow(entry.load, config, ranks)
    folder = output_of(config)
    check_free(folder, patient=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_requests(folder)
    except OSError as error:
        raise cannot_write(folder, error) from None
    header = f"# napari-neuropretrain {__version__}: neuropretrain {job}\n"
    write_text(folder / CONFIG, header + config.to_yaml())
    recorder = Recorder(folder, listen)

    def load() -> Any:
        return entry.load()

    try:
        with log_to(folder / LOG) as recorder.log, heartbeat(recorder):
            return _record(load, job, config, recorder, queue)
    finally:
        clear_requests(folder)


def ranks_of(config: Config) -> Ranks:
    """Return which of the processes of a job this is; most jobs have one."""
    devices, nodes = getattr(config, "devices", 1), getattr(config, "nodes", 1)
    return find_ranks(devices, nodes)


def _follow(load: Any, config: Config, ranks: Ranks) -> Outcome:
    """Run a job in a process that leaves reports and files to the first one."""
    folder = output_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    with log_to(folder / f"run.{ranks.rank}.log"):
        try:
            outcome: Outcome = load()(config, silent)
        except (Cancelled, NeuropretrainError):
            raise
        except Exception as error:
            logger.error(traceback.format_exc())
            raise NeuropretrainError(explain_failure(error)) from error
    return outcome


def _record(
    load: Any, job: str, config: Config, recorder: Recorder, queue: DeviceQueue | None
) -> Outcome:
    """Run the loaded job, and write how it ended."""
    values = {"job": job, "version": __version__, "device": device_of(config)}
    try:
        recorder(Progress("started", f"neuropretrain {job}", values=values | _who()))
        with _turn(job, config, recorder, queue):
            outcome: Outcome = load()(config, recorder)
    except (Cancelled, KeyboardInterrupt) as request:
        recorder(Progress("stopped", "Stopped; what was finished is kept."))
        raise Cancelled(str(request)) from None
    except NeuropretrainError as error:
        logger.debug(traceback.format_exc())
        values = {"error": type(error).__name__}
        if error.__cause__ is not None and cause_of(error) == "memory":
            values["cause"] = "memory"
        recorder(Progress("failed", str(error), values=values))
        raise
    except Exception as error:
        logger.error(traceback.format_exc())
        known = explain_failure(error)
        values = {"error": type(error).__name__, "cause": cause_of(error)}
        values["traceback"] = traceback.format_exc()
        recorder(Progress("failed", known, values=values))
        raise NeuropretrainError(known) from error
    ended = {
        "failures": [[failure.item, failure.reason] for failure in outcome.failures],
        "results": dict(outcome.results),
        "exit_code": EXIT_FAILED if outcome.failures else EXIT_DONE,
    }
    recorder(Progress("finished", outcome.message, values=ended))
    return outcome


def _who() -> dict[str, Any]:
    """Return by what this process is known when it is looked for later."""
    import psutil

    created = psutil.Process().create_time()
    who = {"pid": os.getpid(), "created": created, "host": platform.node()}
    return who | {"cwd": os.getcwd()}


@contextmanager
def _turn(
    job: str, config: Config, recorder: Recorder, queue: DeviceQueue | None
) -> Iterator[None]:
    """Wait until the device is free, and hold it."""
    if queue is None:
        yield
        return
    folder: Path = recorder.folder
    ticket = queue.draw(device_of(config), f"{job} in '{folder.name}'", folder)
    try:
        behind = ""
        while blocker := queue.blocker(ticket):
            if blocker.title != behind:
                behind = blocker.title
                recorder.wait_in_queue(behind)
            recorder.obey()
            time.sleep(LOOK_S)
        if behind:
            recorder.go_on()
        yield
    finally:
        queue.give_back(ticket)
