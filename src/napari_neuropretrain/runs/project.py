"""All runs below a folder: found, and followed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs.folder import EVENTS
from napari_neuropretrain.runs.record import RunReader, RunRecord, read_run

TRASH = ".neuropretrain-trash"
_DEEPEST = 8
_NO_RUNS = ("checkpoints", "figures", "anat", "__pycache__")
"""Folders that are not looked into, nor are those of participants."""
SEARCH_S = 5.0


@dataclass(frozen=True)
class Listed:
    """A run and the run that it is part of.

    Parameters
    ----------
    record
        The run.
    parent
        Folder of the run that started it (a demo, a benchmark), or None.
    """

    record: RunRecord
    parent: Path | None


class Project:
    """The runs below a folder, read again and again.

    Parameters
    ----------
    folder
        The project folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._readers: dict[Path, RunReader] = {}
        self._searched = -SEARCH_S

    def look(self) -> list[Listed]:
        """Return every run as it is now, the latest first; parts follow their whole."""
        if time.monotonic() - self._searched >= SEARCH_S or self._searched < 0:
            self.search()
        records = {}
        for path, reader in self._readers.items():
            try:
                records[path] = reader.look()
            except (OSError, ValueError):  # being deleted, or not of ours
                continue
        listed = [Listed(one, _parent(path, records)) for path, one in records.items()]
        return sorted(listed, key=lambda one: -one.record.began)

    def forget_search(self) -> None:
        """Let the next `look` search for new runs."""
        self._searched = -SEARCH_S

    def search(self) -> None:
        """Look for new run folders, and forget those that are gone."""
        found = list(find_runs(self.folder))
        kept = {path: self._readers.get(path) for path in found}
        self._readers = {path: old or RunReader(path) for path, old in kept.items()}
        self._searched = time.monotonic()


def find_runs(folder: Path, depth: int = _DEEPEST) -> Iterator[Path]:
    """Yield each run folder at or below `folder`: those that hold ``events.jsonl``."""
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError:  # not allowed, or gone since
        return
    if any(entry.name == EVENTS for entry in entries):
        yield folder
    if not depth:
        return
    for entry in sorted(entries, key=lambda one: one.name):
        hidden = entry.name.startswith((".", "sub-", "ses-")) or entry.name in _NO_RUNS
        if not hidden and entry.is_dir(follow_symlinks=False):
            yield from find_runs(folder / entry.name, depth - 1)


def delete_run(folder: Path, project: Path) -> Path:
    """Move a run folder into the trash of its project, and return where it is now.

    Raises
    ------
    ConfigError
        If it goes on, or a run below it does; or if it is the project itself.
    """
    read_run(folder)
    for path in find_runs(folder):
        if read_run(path).live:
            raise ConfigError(f"A run goes on in '{path}'. Cancel it first.")
    if folder.absolute() == project.absolute():
        raise ConfigError(
            f"'{folder}' is the project folder itself. Choose the folder above it."
        )
    trash = project / TRASH
    place = trash / f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while place.exists():
        number += 1
        place = place.with_name(f"{place.name.partition('~')[0]}~{number}")
    try:
        trash.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, place)
    except OSError as error:
        raise ConfigError(
            f"'{folder}' cannot be moved to '{trash}' ({error.strerror})."
        ) from None
    return place


def _parent(folder: Path, records: dict[Path, RunRecord]) -> Path | None:
    """Return the nearest run folder above that was at work when this one began."""
    for above in folder.parents:
        if (whole := records.get(above)) is not None:
            began = records[folder].began
            inside = whole.began - 1 <= began <= whole.began + whole.seconds + 1
            return above if inside or whole.job in ("demo", "benchmark") else None
    return None
