"""How fluid napari stays while a training keeps all cores busy.

    python benchmarks/event_loop.py COHORT [--seconds 60] [--threads 2]

COHORT is a derivatives folder with ages (the one of ``neuropretrain demo`` will do). A
timer of 16 ms runs in a real viewer with the Fine-tune and the Runs widget open; the
gaps between its ticks are printed: first with nothing else, then while the widget
trains (in a process of its own, as always), then while the same job runs in a thread
of the viewer. On Linux without a display, put
``xvfb-run -a -s "-screen 0 1600x1000x24"`` in front.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import napari
import psutil
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.errors import Cancelled
from napari_neuropretrain.gui.widgets import FinetuneWidget, RunsWidget
from napari_neuropretrain.progress import Progress

TICK_MS = 16
WARM_UP_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", type=Path, help="derivatives folder with ages")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=psutil.cpu_count() or 1)
    parser.add_argument("--backbone", default="densenet121")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure_all(given, Path(folder))


def measure_all(given: argparse.Namespace, folder: Path) -> None:
    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    widget, runs = FinetuneWidget(viewer), RunsWidget(viewer, folder)
    viewer.window.add_dock_widget(widget, name="Fine-tune")
    viewer.window.add_dock_widget(runs, name="Runs", tabify=True)
    print(f"{'':12}{'steps/s':>9}{'busy':>7}{'median':>9}{'p99':>9}{'longest':>9}")
    settings = {"cohort": given.cohort, "output": folder / "process", "epochs": 1000}
    settings |= {"batch_size": 4, "baselines": False, "find_repeats": False}
    settings |= {"task": "brain_age", "threads": given.threads, "device": "cpu"}
    config = JOBS["finetune"].options.parse(settings | {"backbone": given.backbone})
    widget.form.fill(config)
    widget.estimate.stop()
    settle(5.0)
    widget.estimate.stop()
    report("idle", *measure(min(10.0, given.seconds)), None)
    in_process(widget, runs, folder, given.seconds)
    widget.cancel()
    widget.cancel()
    settle(3.0)
    in_thread(widget, config.replace(output=folder / "thread"), given.seconds)
    viewer.close()


def in_process(
    widget: FinetuneWidget, runs: RunsWidget, folder: Path, seconds: float
) -> None:
    """Train as the plugin does."""
    steps: list[int] = []
    widget.start()
    widget.panel.take = counting(widget.panel.take, steps)
    wait(lambda: bool(steps))
    runs.tree.select(folder / "process")
    before = steps[-1]
    gaps, busy = measure(seconds)
    report("process", gaps, busy, (steps[-1] - before) / seconds)


def counting(take: Callable, steps: list[int]) -> Callable:
    """Note the steps of the training that events tell of."""

    def count(events: tuple) -> None:
        take(events)
        steps.extend(
            event["step"] for event in events if "loss" in event.get("values", {})
        )

    return count


def in_thread(widget: FinetuneWidget, config, seconds: float) -> None:
    """Train in a thread of the viewer's own process; the widget shows it as well."""
    steps, said, enough = [], [], threading.Event()
    timer = QTimer()

    def show() -> None:
        events = [said.pop(0) for _ in range(len(said))]
        widget.panel.take(events)

    timer.timeout.connect(show)
    timer.start(200)

    def hear(progress: Progress) -> None:
        if enough.is_set():
            raise Cancelled("enough")
        event = {"state": progress.state, "time": time.time()}
        event |= {"message": progress.message, "values": dict(progress.values)}
        event |= {"step": progress.step, "total": progress.total}
        said.append(event)
        if "loss" in progress.values and progress.state == "step":
            steps.append(progress.step)

    def work() -> None:
        try:
            JOBS["finetune"].load()(config, hear)
        except Cancelled:
            return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait(lambda: bool(steps))
    before = steps[-1]
    gaps, busy = measure(seconds)
    report("thread", gaps, busy, (steps[-1] - before) / seconds)
    enough.set()
    deadline = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < deadline:
        settle(0.1)


def measure(seconds: float) -> tuple[list[float], float]:
    """Return the gaps between ticks in ms, and the share of the cores in use."""
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    psutil.cpu_percent()
    timer.start(TICK_MS)
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()
    timer.stop()
    gaps = [1000 * (b - a) for a, b in itertools.pairwise(ticks)]
    return gaps, psutil.cpu_percent()


def report(name: str, gaps: list[float], busy: float, rate: float | None) -> None:
    ordered = sorted(gaps)
    middle, late = statistics.median(gaps), ordered[int(0.99 * len(ordered))]
    speed = "" if rate is None else f"{rate:.2f}"
    print(
        f"{name:12}{speed:>9}{busy:6.0f}%{middle:7.1f}ms{late:7.1f}ms"
        f"{ordered[-1]:7.1f}ms",
        flush=True,
    )


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WARM_UP_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("The training does not begin.")
        settle(0.1)


def settle(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
