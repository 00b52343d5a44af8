"""What is asked of runs, done in the background so that the viewer goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.runs import control
from napari_neuropretrain.runs.child_run import GRACE_S
from napari_neuropretrain.runs.process import start
from napari_neuropretrain.runs.project import delete_run
from napari_neuropretrain.runs.record import RunRecord


class RunCommands(QObject):
    """Asks runs for something, and tells what happens."""

    said = Signal(str)
    """Emitted with a sentence for the person."""
    changed = Signal()
    """Emitted when runs may have come or gone."""

    def pause_or_resume(self, record: RunRecord) -> None:
        """Let a run rest; let one that rests or has ended go on."""
        running = record.state == "running"
        self._do(control.pause_run if running else control.resume_run, record.folder)

    def keep_best(self, record: RunRecord) -> None:
        """End a training with its best weights."""
        self._do(control.keep_best, record.folder)

    def cancel(self, record: RunRecord) -> None:
        """Stop a run; one that stops already is ended at once."""
        grace_s = 0.0 if record.state == "stopping" else GRACE_S
        self._do(partial(control.cancel_run, grace_s=grace_s), record.folder)

    def start(self, job: str, config: Config) -> None:
        """Start a job with changed settings."""
        self._do(_start, job, config)

    def delete(self, folder: Path, project: Path) -> None:
        """Move a run to the trash of its project."""
        self._do(_trash, folder, project)

    def _do(self, work: Callable[..., str], *given: Any) -> None:
        worker = create_worker(work, *given, _ignore_errors=True)
        worker.returned.connect(self._done)
        worker.errored.connect(self._failed)
        worker.start()

    def _done(self, sentence: str) -> None:
        self.said.emit(sentence)
        self.changed.emit()

    def _failed(self, error: Exception) -> None:
        self.said.emit(say_error(error))


def say_error(error: Exception) -> str:
    """Return what to tell a person of an error; one of ours is a sentence."""
    known = isinstance(error, NeuropretrainError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _start(job: str, config: Config) -> str:
    start(job, config, queued=True)
    return "Started again with the change."


def _trash(folder: Path, project: Path) -> str:
    return f"Moved to '{delete_run(folder, project)}'."
