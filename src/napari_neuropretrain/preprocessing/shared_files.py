"""Check that the workers of a cluster see the same files, with the same package."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from napari_neuropretrain import __version__
from napari_neuropretrain.preprocessing.scan_task import ScanTask

PATIENCE_S = 5.0
"""A network file system may show a new file late."""


@dataclass(frozen=True)
class SharedFiles:
    """What a worker must find; it travels with each task.

    Parameters
    ----------
    marker
        A file in the output folder, for this run only.
    scan
        One raw scan.
    version
        Version of this package here.
    """

    marker: Path
    scan: Path
    version: str = __version__

    @classmethod
    @contextmanager
    def mark(cls, tasks: Sequence[ScanTask]) -> Iterator[Self]:
        """Lay a marker into the output folder of `tasks` for a ``with`` block."""
        first = tasks[0]
        output = first.output.absolute()
        marker = output / f".run-{os.getpid()}-{secrets.token_hex(4)}"
        marker.touch()
        try:
            yield cls(marker, first.scan.path.absolute())
        finally:
            marker.unlink(missing_ok=True)

    def problem(self, scan: Path | None = None) -> str:
        """Return what a worker lacks, as a sentence; empty if nothing."""
        if __version__ != self.version:
            return (
                f"A worker has napari-neuropretrain {__version__}, but {self.version} "
                "gives the tasks. Install the same version on both."
            )
        missing = next(
            (path for path in (self.marker, scan or self.scan) if not _appears(path)),
            None,
        )
        if missing is None:
            return ""
        what = "output folder" if missing == self.marker else "scan"
        shown = missing.parent if missing == self.marker else missing
        return (
            f"A worker does not see the {what} '{shown}'. Input and output must lie on "
            "a file system that all workers share, under the same path."
        )


def _appears(path: Path) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not path.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True
