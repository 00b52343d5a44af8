"""Run the steps of a benchmark in a child process, and end it in order."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from napari_neuropretrain.benchmark.steps import JOB_OF, LOG, LOOK_S, Step, Unit
from napari_neuropretrain.runs import EXIT_STOPPED, STOP, read_events, request_stop

GRACE_S = 60.0
_CHILD = "napari_neuropretrain.benchmark.child"


@dataclass(frozen=True)
class Order:
    """What a worker is told: plain values, for any process to read."""

    key: str
    folder: Path
    steps: tuple[Step, ...]
    stop: Path
    """While this file is there, nothing goes on."""


def order_of(unit: Unit, output: Path) -> Order:
    """Return the missing steps of a unit as plain values."""
    steps = tuple(
        (JOB_OF[type(one)], one.model_dump(mode="json")) for one in unit.missing()
    )
    return Order(unit.key, unit.folder.absolute(), steps, output.absolute() / STOP)


def launch(
    order: Order, device: str = "", beat: Callable[[], None] = lambda: None
) -> int:
    """Run the steps in a child process; return its exit code.

    Parameters
    ----------
    order
        The steps.
    device
        Where to compute, in place of what the settings say; empty: as they say.
    beat
        Called twice a second; what it raises stops the child first.
    """
    if order.stop.exists():
        return EXIT_STOPPED
    order.folder.mkdir(parents=True, exist_ok=True)
    _await_previous(order.folder)
    chosen = {"device": device} if device else {}
    steps = [
        (job, values | (chosen if "device" in values else {}))
        for job, values in order.steps
    ]
    with (order.folder / LOG).open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            return _follow(child, steps, order.stop, beat)
        except BaseException:
            _end(child, steps)
            raise
        finally:
            child.kill()
            child.wait()
            if child.stdin:
                child.stdin.close()


def _await_previous(folder: Path) -> None:
    """Wait for the process of a killed benchmark, which may take a while to leave."""
    events, _ = read_events(folder)
    started = [one["values"]["pid"] for one in events if one["state"] == "started"]
    with suppress(psutil.Error):
        for pid in started[-1:]:
            process = psutil.Process(pid)
            if _CHILD in process.cmdline():
                process.wait(GRACE_S)


def _follow(
    child: subprocess.Popen[bytes],
    steps: Sequence[Step],
    stop: Path,
    beat: Callable[[], None],
) -> int:
    assert child.stdin is not None
    child.stdin.write(json.dumps(steps).encode() + b"\n")
    child.stdin.flush()
    while True:
        try:
            return child.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            if stop.exists():
                return _end(child, steps)
            beat()


def _end(child: subprocess.Popen[bytes], steps: Sequence[Step]) -> int:
    """Ask a child to keep what it has and to leave; after a while, kill it."""
    waited = 0.0
    while waited < GRACE_S:
        for _, values in steps:
            folder = Path(values["output"])
            if folder.is_dir():
                request_stop(folder)
        try:
            return child.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            waited += LOOK_S
    child.kill()
    return child.wait()
