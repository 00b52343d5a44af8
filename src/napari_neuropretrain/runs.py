"""Run folders: the one way a job is executed, recorded and stopped.

A run folder holds ``config.yaml`` (the resolved settings), ``events.jsonl`` (one
JSON object a line), ``run.log``, and the job's results. A file named ``stop`` in
it asks the job to leave.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import Config, write_text
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.errors import Cancelled, ConfigError, NeuropretrainError
from napari_neuropretrain.progress import Outcome, Progress, Report, silent
from napari_neuropretrain.ranks import Ranks, find_ranks

CONFIG, EVENTS, LOG, STOP = "config.yaml", "events.jsonl", "run.log", "stop"
EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 0, 1, 2, 3
HEARTBEAT_S = 5.0

logger = logging.getLogger("napari_neuropretrain")


class Recorder:
    """Append events to a run folder, and notice the request to stop.

    Calling it with a `Progress` raises `Cancelled` once the stop file is there.
    """

    def __init__(self, folder: Path, listen: Report = silent) -> None:
        self.folder = folder
        self._listen = listen
        self._lock = threading.Lock()
        self._started = time.time()
        self.log: logging.Handler = logging.NullHandler()

    def __call__(self, progress: Progress) -> None:
        """Record one event and pass it on."""
        self.write(progress)
        self._listen(progress)
        if progress.message:
            bad = progress.state in ("warning", "item_failed")
            level = logging.WARNING if bad else logging.INFO
            # Straight to this run's file: a run inside a run has a log of its own.
            name, text = logger.name, progress.message
            self.log.handle(logger.makeRecord(name, level, "", 0, text, (), None))
        final = progress.state in ("finished", "failed", "stopped")
        if not final and (self.folder / STOP).exists():
            raise Cancelled(f"Stopped on request: '{self.folder / STOP}'.")

    def write(self, progress: Progress) -> None:
        """Append one line to ``events.jsonl``."""
        event: dict[str, Any] = {
            "time": round(time.time(), 3),
            "seconds": round(time.time() - self._started, 2),
            "state": progress.state,
        }
        if progress.message:
            event["message"] = progress.message
        if progress.step is not None:
            event["step"] = progress.step
        if progress.total is not None:
            event["total"] = progress.total
        if progress.values:
            event["values"] = dict(progress.values)
        line = json.dumps(event, ensure_ascii=False, default=str) + "\n"
        with self._lock, (self.folder / EVENTS).open("a", encoding="utf-8") as file:
            file.write(line)


def execute(
    jobs: Registry, job: str, config: Config, listen: Report = silent
) -> Outcome:
    """Run a job in its run folder (`config.output`) and return what it says.

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
    folder = Path(getattr(config, "output"))  # noqa: B009 - each job's config has it
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STOP).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"output: cannot write to '{folder}' ({error.strerror}). "
            "Give a folder you may write to."
        ) from None
    header = f"# napari-neuropretrain {__version__}: neuropretrain {job}\n"
    write_text(folder / CONFIG, header + config.to_yaml())
    recorder = Recorder(folder, listen)
    with _log_to(folder / LOG) as recorder.log, _heartbeat(recorder):
        return _record(entry.load, job, config, recorder)


def ranks_of(config: Config) -> Ranks:
    """Return which of the processes of a job this is; most jobs have one."""
    devices, nodes = getattr(config, "devices", 1), getattr(config, "nodes", 1)
    return find_ranks(devices, nodes)


def _follow(load: Any, config: Config, ranks: Ranks) -> Outcome:
    """Run a job in a process that leaves reports and files to the first one."""
    folder = Path(getattr(config, "output"))  # noqa: B009 - each job's config has it
    folder.mkdir(parents=True, exist_ok=True)
    with _log_to(folder / f"run.{ranks.rank}.log"):
        try:
            outcome: Outcome = load()(config, silent)
        except (Cancelled, NeuropretrainError):
            raise
        except Exception as error:
            logger.error(traceback.format_exc())
            raise NeuropretrainError(explain_failure(error)) from error
    return outcome


def _record(load: Any, job: str, config: Config, recorder: Recorder) -> Outcome:
    """Run the loaded job, and write how it ended."""
    values = {"job": job, "version": __version__, "pid": os.getpid()}
    recorder(Progress("started", f"neuropretrain {job}", values=values))
    try:
        outcome: Outcome = load()(config, recorder)
    except (Cancelled, KeyboardInterrupt) as request:
        recorder(Progress("stopped", "Stopped; what was finished is kept."))
        raise Cancelled(str(request)) from None
    except NeuropretrainError as error:
        logger.debug(traceback.format_exc())
        values = {"error": type(error).__name__}
        recorder(Progress("failed", str(error), values=values))
        raise
    except Exception as error:
        logger.error(traceback.format_exc())
        known = explain_failure(error)
        values = {"error": type(error).__name__, "traceback": traceback.format_exc()}
        recorder(Progress("failed", known, values=values))
        raise NeuropretrainError(known) from error
    values = {
        "failures": [[failure.item, failure.reason] for failure in outcome.failures],
        "results": dict(outcome.results),
        "exit_code": EXIT_FAILED if outcome.failures else EXIT_DONE,
    }
    recorder(Progress("finished", outcome.message, values=values))
    return outcome


def explain_failure(error: BaseException) -> str:
    """Turn an unforeseen exception into a sentence with advice."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        first = text.splitlines()[0]
        return (
            f"Out of memory: {first}. Lower batch_size (or workers), "
            "take a smaller backbone, or run with --device cpu."
        )
    if isinstance(error, OSError) and error.errno == 28:
        return f"The disk is full: '{error.filename}'. Free some space and run again."
    return (
        f"Unexpected {type(error).__name__}: {text}. This is a bug in "
        "napari-neuropretrain; please report it with the run.log of the run folder."
    )


def explain_exit(code: int) -> str:
    """Turn the exit code of a job's process into a sentence."""
    killed = (
        "Killed by the system, probably out of memory: lower workers or batch size."
    )
    known = {
        EXIT_DONE: "Done.",
        EXIT_FAILED: "Failed, or part of the cohort failed: see the list.",
        EXIT_USAGE: "Wrong usage or settings.",
        EXIT_STOPPED: "Stopped on request.",
        -9: killed,
        137: killed,
        -15: "Ended from outside.",
        -11: "Crashed in native code (segmentation fault): see run.log.",
    }
    return known.get(code, f"Ended with exit code {code}: see run.log.")


def check_inputs(config: Config) -> None:
    """Check that each path that must exist does.

    Raises
    ------
    ConfigError
        If one does not.
    """
    for name, field in type(config).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("path") == "input":
            path = Path(getattr(config, name))
            if path != NOTHING and not path.exists():
                raise ConfigError(
                    f"{name}: nothing at '{path}'. Give the path of an existing "
                    "file or folder."
                )


def read_events(folder: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Read whole lines of ``events.jsonl`` from byte `offset` on.

    Returns
    -------
    events
        The events after `offset`.
    offset
        Where to go on next time; a line still being written is left for then.
    """
    path = folder / EVENTS
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    events = [json.loads(line) for line in whole.splitlines() if line.strip()]
    return events, offset + len(whole)


def request_stop(folder: Path) -> None:
    """Ask the job that runs in `folder` to stop."""
    (folder / STOP).touch()


@contextmanager
def _log_to(path: Path) -> Iterator[logging.Handler]:
    handler = logging.FileHandler(path, encoding="utf-8")
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(logging.Formatter(form))
    root = logging.getLogger()
    level = root.level
    shown = warnings.showwarning
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield handler
    finally:
        logging.captureWarnings(False)
        warnings.showwarning = shown
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


@contextmanager
def _heartbeat(recorder: Recorder) -> Iterator[None]:
    """Write memory use every few seconds, so that a lost process can be told."""
    done = threading.Event()

    def beat() -> None:
        import psutil

        process, peak = psutil.Process(), 0.0
        while not done.wait(HEARTBEAT_S):
            peak = max(peak, process.memory_info().rss / 2**20)
            recorder.write(Progress("heartbeat", values={"rss_peak_mib": round(peak)}))

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=1.0)
