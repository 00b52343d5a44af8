"""Read the runs of a project folder in the background. No Qt here."""

from __future__ import annotations

import threading
from pathlib import Path

from napari_neuropretrain.runs.project import Listed, Project

LOOK_S = 0.7


class Watch:
    """Looks at a project again and again, in a thread of its own.

    Parameters
    ----------
    folder
        The project folder.
    """

    def __init__(self, folder: Path) -> None:
        self._project = Project(folder)
        self._found: list[Listed] | None = None
        self._wake, self._ended = threading.Event(), False
        # It never keeps napari from closing.
        self._thread = threading.Thread(target=self._work, name="runs", daemon=True)
        self._thread.start()

    def latest(self) -> list[Listed] | None:
        """Return what was found since the last call, or None."""
        found, self._found = self._found, None
        return found

    def search(self) -> None:
        """Look for new and deleted runs at once."""
        self._project.forget_search()
        self._wake.set()

    def stop(self) -> None:
        """Look no more."""
        self._ended = True
        self._wake.set()

    def _work(self) -> None:
        while not self._ended:
            self._found = self._project.look()
            self._wake.wait(LOOK_S)
            self._wake.clear()
