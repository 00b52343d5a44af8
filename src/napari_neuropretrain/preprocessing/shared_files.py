"""Check that the workers of a cluster see the same files, with the same package."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_neuropretrain import __version__

PATIENCE_S = 5.0
"""A network file system may show a new file late."""


@dataclass(frozen=True)
class SharedFiles:
    """What a worker must find; it travels with each task.

    Parameters
    ----------
    witness
        A file in the output folder.
    version
        Version of this package where the tasks come from.
    """

    witness: Path
    version: str = __version__

    def problem(self, scan: Path) -> str:
        """Return what this process lacks to do `scan`, in words; empty if nothing."""
        if __version__ != self.version:
            return (
                f"A worker has napari-neuropretrain {__version__}, but {self.version} "
                "gives the tasks. Install the same version on both."
            )
        if not _appears(self.witness):
            return _unseen("output folder", self.witness.parent)
        return "" if _appears(scan) else _unseen("scan", scan)


@contextmanager
def marked(output: Path) -> Iterator[SharedFiles]:
    """Lay a new file into `output` for a ``with`` block: no other folder has it."""
    witness = output / f".run-{os.getpid()}-{secrets.token_hex(4)}"
    witness.touch()
    try:
        yield SharedFiles(witness)
    finally:
        witness.unlink(missing_ok=True)


def _appears(path: Path) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not path.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def _unseen(what: str, path: Path) -> str:
    return (
        f"A worker does not see the {what} '{path}'. Input and output must lie on a "
        "file system that all workers share, under the same path."
    )
