"""Write down what a job says, and notice what it is asked for."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.progress import Progress, Report, silent
from napari_neuropretrain.runs.folder import EVENTS, FINAL_STATES, PAUSE, STOP

HEARTBEAT_S, LOOK_S = 5.0, 0.2

logger = logging.getLogger("napari_neuropretrain")


class Recorder:
    """Append events to a run folder, and notice the requests to stop and to pause.

    Calling it with a `Progress` raises `Cancelled` once the stop file is there. While
    the pause file is there, the call does not return: the job rests where it reports,
    and keeps its memory.

    Attributes
    ----------
    waits
        ``queued`` or ``paused`` while the job does nothing; else ``running``.
    """

    def __init__(self, folder: Path, listen: Report = silent) -> None:
        self.folder = folder
        self.waits = "running"
        self._listen = listen
        self._lock = threading.Lock()
        self._started = time.time()
        self.log: logging.Handler = logging.NullHandler()
        self._end_torn_line()

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
        if progress.state not in FINAL_STATES:
            self.obey()

    def obey(self) -> None:
        """Rest while asked to, and leave if asked to.

        Raises
        ------
        Cancelled
            If the stop file is there.
        """
        self._leave_if_asked()
        pause = self.folder / PAUSE
        # A report comes from one thread at a time; the others go on by themselves.
        if not pause.exists() or self.waits == "paused":
            return
        self._wait("paused", "Paused; it keeps its memory.")
        try:
            while pause.exists():
                self._leave_if_asked()
                time.sleep(LOOK_S)
        finally:
            self.go_on()

    def wait_in_queue(self, behind: str) -> None:
        """Say that the job waits for a device, and behind whom."""
        self._wait("queued", f"Queued behind {behind}.")

    def go_on(self) -> None:
        """Say that the job goes on."""
        self._wait("running", "")

    def _wait(self, state: Any, message: str) -> None:
        self.waits = state
        progress = Progress(state, message)
        self.write(progress)
        self._listen(progress)

    def _leave_if_asked(self) -> None:
        if (self.folder / STOP).exists():
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

    def _end_torn_line(self) -> None:
        """Let the first event begin on a line of its own."""
        path = self.folder / EVENTS
        if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")


@contextmanager
def log_to(path: Path) -> Iterator[logging.Handler]:
    """Write messages and warnings of this process to a file, too."""
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
def heartbeat(recorder: Recorder) -> Iterator[None]:
    """Write memory use every few seconds, so that a lost process can be told."""
    done = threading.Event()

    def beat() -> None:
        peak = 0
        while not done.wait(HEARTBEAT_S):
            values = memory_use()
            peak = max(peak, values["rss_mib"])
            values |= {"rss_peak_mib": peak, "waits": recorder.waits}
            recorder.write(Progress("heartbeat", values=values))

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=1.0)


def memory_use() -> dict[str, Any]:
    """Return memory in MiB: of this process and its children, and of the machine."""
    import psutil

    process, held = psutil.Process(), 0
    for one in [process, *process.children(recursive=True)]:
        try:
            held += one.memory_info().rss
        except psutil.Error:  # it has ended since
            continue
    machine = psutil.virtual_memory()
    found = {
        "rss_mib": round(held / 2**20),
        "free_mib": round(machine.available / 2**20),
        "total_mib": round(machine.total / 2**20),
    }
    return found | _gpu_use()


def _gpu_use() -> dict[str, int]:
    """Return the memory of the GPU where torch is in use; it is not loaded for it."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not getattr(cuda, "is_initialized", lambda: False)():
        return {}
    return {
        "gpu_mib": round(cuda.memory_reserved() / 2**20),
        "gpu_peak_mib": round(cuda.max_memory_reserved() / 2**20),
    }
