"""Small pictures of scans, made in the background when they come into view."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtGui import QIcon, QImage, QPixmap
from superqt.utils import create_worker

_MOST_WAITING = 120
"""Who scrolls past hundreds of rows does not wait for them."""


class Pictures(QObject):
    """Pictures by member; what is asked for last is made first."""

    ready = Signal(int)
    """Emitted with the number of a member whose picture is there now."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._made: dict[int, QIcon] = {}
        self._waiting: dict[int, Path] = {}
        self._worker: Any = None
        self._load = 0

    def get(self, number: int, path: Path | None) -> QIcon | None:
        """Return the picture of a member, or None and make it soon."""
        if number in self._made or path is None:
            return self._made.get(number)
        self._waiting.pop(number, None)
        self._waiting[number] = path
        # The worker takes from it at the same time.
        for late in list(self._waiting)[:-_MOST_WAITING]:
            self._waiting.pop(late, None)
        self._start()
        return None

    def forget(self) -> None:
        """Let go of everything, because another cohort was opened."""
        self._load += 1
        self._waiting.clear()
        self._made.clear()
        if self._worker is not None:
            self._worker.quit()
            self._worker = None

    def busy(self) -> bool:
        """Whether pictures are being made."""
        return self._worker is not None

    def _work(self) -> Iterator[tuple[int, NDArray[Any]]]:
        from napari_neuropretrain.data.thumbnails import thumbnail

        while self._waiting:
            try:
                number, path = self._waiting.popitem()
            except KeyError:  # let go of meanwhile
                return
            yield number, thumbnail(path)

    def _start(self) -> None:
        if self._worker is not None:
            return
        self._worker = create_worker(self._work, _ignore_errors=True)
        self._worker.yielded.connect(partial(self._take, self._load))
        self._worker.finished.connect(partial(self._rest, self._load))
        self._worker.start()

    def _listens(self, load: int) -> bool:
        alive: bool = isalive(self)  # type: ignore[no-untyped-call]
        return load == self._load and alive

    def _take(self, load: int, made: tuple[int, NDArray[Any]]) -> None:
        if not self._listens(load):
            return
        number, gray = made
        height, width = gray.shape
        voxels = gray.tobytes()  # must live as long as the image, which copies nothing
        image = QImage(voxels, width, height, width, _GRAY)
        self._made[number] = QIcon(QPixmap.fromImage(image.copy()))
        self.ready.emit(number)

    def _rest(self, load: int) -> None:
        if self._listens(load):
            self._worker = None
            if self._waiting:  # asked for while the worker was leaving
                self._start()


_GRAY = QImage.Format.Format_Grayscale8
