"""What the events of a run amount to: position, time left, curves, words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_neuropretrain.runs.curves import Curves

SCAN_STEPS = ("brain mask", "bias field", "registration", "resampling", "intensity")
"""What the engine calls the steps of one scan; it announces each as it begins."""

_ITEM = ("item_done", "item_failed")
_HIDDEN = ("kind", "path", "pid", "version", "job", "traceback", "peak_mib", "cause")
_QUIET = ("heartbeat", "result", "running")


class Account:
    """The running account of one run; feed it with `take`.

    Attributes
    ----------
    fraction
        Share of the current stage that is done, or None.
    stage
        One line for the progress bar.
    left_s
        Seconds that remain, about, or None.
    curves
        What was said after each epoch: losses, metrics, probes.
    """

    def __init__(self) -> None:
        self.fraction: float | None = None
        self.stage = ""
        self.left_s: float | None = None
        self.curves = Curves()
        self._began: tuple[float, int] | None = None
        self._total: int | None = None
        self._last_step = 0
        self._steps_tell = False
        self._message = ""
        self._scans = ScanCount()

    def take(self, event: Mapping[str, Any]) -> str:
        """Note one event and return its line for the log, or an empty string."""
        state = event["state"]
        step, total = event.get("step"), event.get("total")
        if state in _ITEM or event.get("message") in SCAN_STEPS:
            self._move_scan(event)
            step = None
        elif state == "epoch" and self._steps_tell:
            step = None  # the steps within the epochs tell the position better
        if step is not None and total:
            self._steps_tell = "loss" in event.get("values", {}) and state == "step"
            self._move(int(step), int(total), float(event.get("time", 0.0)), event)
        elif state == "finished":
            self.fraction, self.stage = 1.0, ""
        elif state == "queued":
            self.stage = str(event.get("message", "")).rstrip(".")
        elif state == "running":
            self._began = None  # a rest tells nothing about the time left
            self.stage = "" if self.fraction is None else self.stage
        self.curves.take(event)
        return _log_line(state, event)

    def _move(
        self, step: int, total: int, time: float, event: Mapping[str, Any]
    ) -> None:
        """Note a step; a new total or a smaller step begins a new stage."""
        if self._began is None or total != self._total or step < self._last_step:
            self._began, self._message = (time, step), ""
        self._message = event.get("message") or self._message
        self._total, self._last_step = total, step
        self.fraction = min(max(step / total, 0.0), 1.0)
        began, first = self._began
        parts = [self._message, f"{step} of {total}"]
        self.left_s = None
        if step > first and step < total:
            self.left_s = (time - began) / (step - first) * (total - step)
            parts.append(f"about {words_for_seconds(self.left_s)} left")
        self.stage = " · ".join(part for part in parts if part)

    def _move_scan(self, event: Mapping[str, Any]) -> None:
        """Note a step of one scan, or a scan that is done."""
        self._scans.take(event)
        self._began = None
        self.fraction, self.stage = self._scans.fraction, self._scans.words
        self.left_s = self._scans.left_s


class ScanCount:
    """How far a cohort is: scans that are done, and the step of the present one."""

    def __init__(self) -> None:
        self._done, self._total = 0, 1
        self._step, self._steps, self._name = 0, 1, ""
        self._began: float | None = None
        self._worked, self._worked_s = 0, 0.0

    def take(self, event: Mapping[str, Any]) -> None:
        """Note a step of `SCAN_STEPS`, or ``item_done`` or ``item_failed``."""
        step, total = int(event.get("step") or 0), int(event.get("total") or 1)
        time = float(event.get("time", 0.0))
        if self._began is None:
            self._began = time
        if event["state"] not in _ITEM:
            self._step, self._steps, self._name = step, total, event["message"]
            return
        if step < self._done:  # another cohort begins
            self._began, self._worked = time, 0
        self._done, self._total, self._name, self._step = step, total, "", 0
        if event.get("values", {}).get("status") != "skipped":
            self._worked += 1
            self._worked_s = time - self._began
        elif not self._worked:
            # It took no time: it tells nothing about the others.
            self._began = time

    @property
    def fraction(self) -> float:
        """Share that is done, with the steps of the present scan."""
        done = self._done + self._step / self._steps
        return min(done / max(self._total, 1), 1.0)

    @property
    def words(self) -> str:
        """Which scan, which step, how long still."""
        if self._total > 1 and self._done == self._total:
            return f"{self._total} of {self._total} scans"
        parts = []
        if self._total > 1:
            parts.append(f"scan {self._done + 1} of {self._total}")
        if self._name:
            parts.append(f"step {self._step + 1} of {self._steps}: {self._name}")
        if self.left_s is not None:
            parts.append(f"about {words_for_seconds(self.left_s)} left")
        return " · ".join(parts)

    @property
    def left_s(self) -> float | None:
        """Seconds for the scans that remain, or None where none was done."""
        if not self._worked or self._done >= self._total:
            return None
        return self._worked_s / self._worked * (self._total - self._done)


def words_for_seconds(seconds: float) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> words_for_seconds(8), words_for_seconds(200), words_for_seconds(9000)
    ('8 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def words_for_values(values: Mapping[str, Any]) -> str:
    """Return the numbers and short texts among `values`, in words.

    Examples
    --------
    >>> words_for_values({"loss": 0.123456, "path": "x", "best": True})
    'loss 0.1235, best yes'
    """
    words = []
    for name, value in values.items():
        if name in _HIDDEN:
            continue
        if isinstance(value, bool):
            words.append(f"{name} {'yes' if value else 'no'}")
        elif isinstance(value, float):
            words.append(f"{name.replace('_', ' ')} {value:.4g}")
        elif isinstance(value, int | str):
            words.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(words)


def _log_line(state: str, event: Mapping[str, Any]) -> str:
    """Return what the log shows for an event."""
    if state in _QUIET or (state == "step" and not event.get("message")):
        return ""
    message = event.get("message", "")
    sign = {"warning": "! ", "item_failed": "✗ ", "item_done": "✓ "}.get(state, "")
    if message and state not in ("step", "metric"):
        return f"{sign}{message}"
    values = words_for_values(event.get("values", {}))
    count = ""
    if state == "step" and message in SCAN_STEPS:
        return f"step {event.get('step', 0) + 1} of {event.get('total')}: {message}"
    if state in ("epoch", "step") and event.get("total"):
        count = f"{state} {event.get('step')}/{event['total']}"
    text = " · ".join(part for part in (count, message, values) if part)
    return f"{sign}{text}" if text else ""
