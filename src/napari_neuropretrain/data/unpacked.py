"""Volumes that were read or decoded once, kept in memory or in a folder."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.base import write_bytes

FloatArray = NDArray[np.float32]


class UnpackedVolumes:
    """Arrays by the file they came from.

    With a folder, each array lies there as ``.npy`` and is mapped into memory: the
    operating system keeps what fits, and all workers share it. A file that changed
    is read again. Without a folder, arrays stay in memory up to the limit.

    Parameters
    ----------
    folder
        Where to keep arrays; empty: in memory.
    memory_gib
        Limit without a folder.
    """

    def __init__(self, folder: str, memory_gib: float) -> None:
        self.folder = Path(folder) if folder else None
        self.room_bytes = int(memory_gib * 2**30)
        self._kept: dict[str, FloatArray] = {}

    def get(
        self, path: Path, variant: str, read: Callable[[], FloatArray]
    ) -> FloatArray:
        """Return the array of a file; `read` makes it the first time.

        Parameters
        ----------
        path
            The file.
        variant
            What besides the file decides on the array.
        read
            Gives float32 of any shape. What it raises is passed on.
        """
        if self.folder is None:
            return self._from_memory(f"{path}|{variant}", read)
        status = path.stat()
        key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{variant}"
        kept = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
        try:
            return _map(kept)
        except (OSError, ValueError):  # not there yet, or cut short
            stream = io.BytesIO()
            np.save(stream, read())
            write_bytes(kept, stream.getvalue())
        return _map(kept)

    def _from_memory(self, key: str, read: Callable[[], FloatArray]) -> FloatArray:
        if key in self._kept:
            return self._kept[key]
        array = read()
        if array.nbytes <= self.room_bytes:
            self.room_bytes -= array.nbytes
            self._kept[key] = array
        return array


def _map(path: Path) -> FloatArray:
    # Copy on write: torch wants arrays that it may write to.
    return np.load(path, mmap_mode="c", allow_pickle=False)  # type: ignore[no-any-return]
