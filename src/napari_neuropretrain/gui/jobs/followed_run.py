"""One run in a process of its own, as signals; for panels without a form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.gui.runs.follow import Follower, Update
from napari_neuropretrain.runs.child_run import ChildRun, Ending
from napari_neuropretrain.runs.process import attach, start


class FollowedRun(QObject):
    """Starts a job, or finds it again, and tells what it says in the GUI thread."""

    updated = Signal(object)
    """Emitted with an `Update`."""
    ended = Signal(object)
    """Emitted with the `Ending` of a run."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        super().__init__()
        self._command = command
        self._follower: Follower | None = None

    @property
    def running(self) -> bool:
        """Whether a run is followed at the moment."""
        return self._follower is not None

    def start(self, job: str, config: Config, title: str) -> None:
        """Start a job; nothing happens while another is followed."""
        begin = partial(start, job, config, self._command, queued=True)
        self._follow(begin, title)

    def attach(self, folder: Path, title: str) -> None:
        """Follow the latest run of a folder."""
        self._follow(partial(attach, folder), title)

    def cancel(self) -> None:
        """Ask the job to stop; called again, end it at once."""
        if self._follower is not None:
            self._follower.cancel()

    def _follow(self, begin: Callable[[], ChildRun], title: str) -> None:
        if self._follower is not None:
            return
        self._follower = Follower(begin)
        progress: dict[str, int | bool | str] = {"total": 0, "desc": title}
        worker = create_worker(
            self._follower.updates, _progress=progress, _start_thread=False
        )
        worker.yielded.connect(self._take)
        worker.returned.connect(self._end)
        worker.aborted.connect(self._leave)
        worker.start()

    def _take(self, update: Update) -> None:
        self.updated.emit(update)

    def _end(self, ending: Ending) -> None:
        self._follower = None
        self.ended.emit(ending)

    def _leave(self) -> None:
        """Let go of a run that goes on without us, because napari closes."""
        self._follower = None
