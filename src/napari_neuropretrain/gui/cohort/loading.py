"""What the cohort panel reads in the background, so that nobody waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker as napari_worker
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]
from superqt.utils import create_worker

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_overview import Member, read_overview
from napari_neuropretrain.data.scan_headers import Header, read_header
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.gui.reader import read_layers

_AT_ONCE_S = 0.1


class CohortLoader(QObject):
    """Reads tables, headers, volumes and scans in threads of their own.

    What was asked for before another cohort was opened is not told any more.
    """

    overview = Signal(object)
    """Emitted with the `Overview` that `open` read."""
    headers = Signal(object, bool)
    """Emitted with headers by member, and whether these are the last."""
    brains = Signal(object)
    """Emitted with pairs of members who show one brain."""
    layers = Signal(object)
    """Emitted with the layers of a scan."""
    failed = Signal(str)
    """Emitted with why something could not be read."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._load = 0
        self._workers: dict[int, Any] = {}

    def open(self, path: Path) -> None:
        """Read who is in a cohort."""
        self.leave()
        self._start(lambda: read_overview(path), self.overview.emit)

    def read_headers(self, members: tuple[Member, ...]) -> None:
        """Read the headers of all scans, some at a time."""

        def read() -> Iterator[tuple[dict[int, Header], bool]]:
            yield from _headers(members)

        worker = self._start(read, _nothing)
        load = self._load

        def tell(found: tuple[dict[int, Header], bool]) -> None:
            if self._listens(load):
                self.headers.emit(*found)

        worker.yielded.connect(tell)

    def compare(self, cohort: CohortEdits) -> None:
        """Look for one person under two names."""
        progress = {"total": len(cohort.members), "desc": "Comparing brains"}

        def read() -> Generator[int, None, tuple[tuple[int, int], ...]]:
            return (yield from _compare(cohort))

        worker = self._start(read, self.brains.emit, progress)
        load = self._load
        worker.aborted.connect(lambda: self._listens(load) and self.brains.emit(()))

    def read_scan(self, path: Path) -> None:
        """Read a scan as layers."""
        self._start(lambda: read_layers(path), self.layers.emit)

    def leave(self) -> None:
        """Let go of all that is being read."""
        self._load += 1
        for worker in self._workers.values():
            worker.quit()
        self._workers.clear()

    def busy(self) -> bool:
        """Whether something is being read."""
        return bool(self._workers)

    def _listens(self, load: int) -> bool:
        """Whether what was asked for is still wanted, and there is someone to tell."""
        alive: bool = isalive(self)  # type: ignore[no-untyped-call]
        return load == self._load and alive

    def _start(
        self,
        read: Callable[[], Any],
        done: Callable[[Any], object],
        progress: dict[str, Any] | None = None,
    ) -> Any:
        """Run `read` in a thread; tell `done` if nothing else was opened meanwhile."""
        load = self._load

        def returned(result: Any) -> None:
            if self._listens(load):
                done(result)

        def errored(error: Exception) -> None:
            if self._listens(load):
                self.failed.emit(_words(error))

        if progress:
            worker = napari_worker(
                read, _ignore_errors=True, _start_thread=False, _progress=progress
            )
        else:
            # Napari would ask before it closes whether to go on reading.
            worker = create_worker(read, _ignore_errors=True, _start_thread=False)
        worker.returned.connect(returned)
        worker.errored.connect(errored)
        # Not the worker itself: that would be a circle, which Python may break in
        # another thread than Qt's.
        ticket, workers = id(worker), self._workers
        worker.finished.connect(lambda: workers.pop(ticket, None))
        workers[ticket] = worker
        worker.start()
        return worker


def _nothing(result: object) -> None:
    """Have no result."""


def _headers(
    members: tuple[Member, ...],
) -> Iterator[tuple[dict[int, Header], bool]]:
    found: dict[int, Header] = {}
    began = time.monotonic()
    for one in members:
        if one.path is not None:
            found[one.number] = read_header(one.path)
        if time.monotonic() - began > _AT_ONCE_S:
            yield found, False
            found, began = {}, time.monotonic()
    yield found, True


def _compare(
    cohort: CohortEdits,
) -> Generator[int, None, tuple[tuple[int, int], ...]]:
    """Yield after each volume, so that it can be stopped; return the pairs."""
    # SciPy is imported here, when it is needed.
    from napari_neuropretrain.data.same_brains import fingerprints, pairs_of

    prints = {}
    for number, found in fingerprints(cohort):
        prints[number] = found
        yield number
    return pairs_of(cohort, prints)


def _words(error: Exception) -> str:
    known = isinstance(error, NeuropretrainError)
    return str(error) if known else f"{type(error).__name__}: {error}"
