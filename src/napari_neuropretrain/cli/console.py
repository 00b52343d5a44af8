"""Print what a job says, and its end."""

from __future__ import annotations

import sys
from typing import TextIO

from napari_neuropretrain.progress import Outcome, Progress


class Console:
    """Prints events as lines; on a terminal, steps overwrite one line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._open_line = False

    def __call__(self, progress: Progress) -> None:
        """Print one event."""
        if progress.state in ("heartbeat", "finished", "failed", "stopped"):
            return
        text = _line(progress)
        if not text:
            return
        if progress.state == "step":
            if self._live:
                self._write(f"\r\033[K{text[:100]}", newline=False)
            return
        self._write(text)

    def _write(self, text: str, newline: bool = True) -> None:
        lead = "\n" if self._open_line and newline else ""
        self._stream.write(lead + text + ("\n" if newline else ""))
        self._stream.flush()
        self._open_line = not newline

    def close(self, outcome: Outcome) -> None:
        """Print the outcome: failures with their reasons, and the results."""
        self._write(outcome.message)
        if outcome.failures:
            self._write(f"Left out ({len(outcome.failures)}):")
            for failure in outcome.failures:
                self._write(f"  {failure.item}: {failure.reason}")
        for name, path in outcome.results.items():
            self._write(f"  {name}: {path}")


def _line(progress: Progress) -> str:
    parts = []
    if progress.step is not None and progress.total:
        parts.append(f"[{progress.step}/{progress.total}]")
    if progress.state in ("warning", "item_failed"):
        parts.append("warning:" if progress.state == "warning" else "FAILED")
    if progress.message:
        parts.append(progress.message)
    if progress.state == "step" or not progress.message:
        parts += [
            f"{name} {value:.4g}"
            for name, value in progress.values.items()
            if isinstance(value, int | float)
        ]
    if progress.state == "result":
        return ""  # listed at the end
    return " ".join(parts)
