"""The source ``store``: volumes that were packed, read by random access."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.sources import StoreOptions
from napari_neuropretrain.data.cohort import Cohort, Scan
from napari_neuropretrain.data.store import VolumeStore, open_store
from napari_neuropretrain.data.tables import (
    PARTICIPANT_COLUMNS,
    PATH_COLUMNS,
    SESSION_COLUMNS,
    find_column,
)
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.training.cohort_source import read_column
from napari_neuropretrain.training.store_check import (
    changed_tables,
    find_damaged,
    find_stale,
)

SHOWN = 20
"""So many failures are told one by one."""
_TABLES_CHANGED = (
    "The table of participants or of quality in '{}' changed since it was packed: "
    "labels may be old, and rejected scans still in. Run 'neuropretrain pack' again."
)


class StoreSource:
    """Packed volumes; see `VolumeSource`.

    Nothing of a volume is kept after it was read, so memory does not grow with the
    cohort. When pickled it leaves ids and labels behind; a process that needs them
    reads them again.

    Parameters
    ----------
    store
        Opened.
    rows
        Numbers of the rows to use.
    failures
        The others, and why.
    """

    def __init__(
        self,
        store: VolumeStore,
        rows: NDArray[np.int64],
        failures: tuple[Failure, ...],
    ) -> None:
        self.store = store
        self.rows = rows
        self.failures = failures
        self.shape = store.shape
        self.contract: PreprocessingContract | None = store.header.contract
        self._labels: dict[str, tuple[NDArray[np.float64], tuple[str, ...]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self) | {"_labels": {}}
        state.pop("ids", None)
        return state

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The participant of each volume."""
        names = self.store.participants()[self.rows].tolist()
        return tuple(name.decode() for name in names)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Columns of the table that are no names or paths."""
        others = {*PARTICIPANT_COLUMNS, *SESSION_COLUMNS, *PATH_COLUMNS}
        columns = self.store.header.columns
        return tuple(name for name in columns if name.lower() not in others)

    def volume(self, index: int) -> Tensor:
        """Return a preprocessed T1, float32 (1, X, Y, Z).

        Raises
        ------
        ImageError
            If its bytes are damaged or gone; names the scan.
        """
        return torch.from_numpy(self.store.read(int(self.rows[index])))[None]

    def label(self, index: int, name: str) -> float | None:
        """Return the label of a scan from a column of the table.

        Raises
        ------
        CohortError
            If there is no such column, or it is empty.
        """
        value = float(self._column(name)[0][self.rows[index]])
        return None if np.isnan(value) else value

    def classes(self, name: str) -> tuple[str, ...]:
        """Return the words of a column in alphabetical order, or () for numbers."""
        return self._column(name)[1]

    def _column(self, name: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        if name not in self._labels:
            self._labels[name] = read_labels(self.store, self.rows, name)
        return self._labels[name]


def read_labels(
    store: VolumeStore, rows: NDArray[np.int64], name: str
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the labels of all rows, NaN where there is none, and their words.

    They are those of `read_column` on the scans that were packed. Only one scan for
    each different text is looked at.

    Raises
    ------
    CohortError
        If there is no such column, it is empty, or an age is out of bounds.
    """
    found = find_column(store.header.columns, (name.lower(),))
    column = store.column(found or name)
    used, first = np.unique(column.codes[rows], return_index=True)
    keys = store.keys()[rows].tolist()
    texts = column.words.tolist()
    scans = tuple(
        Scan(keys[row].decode(), None, Path(), {name: texts[word].decode()})
        for word, row in zip(used, first, strict=True)
    )
    by_key, words = read_column(Cohort(scans, Path(store.files.url)), name)
    values = np.full(len(column.words), np.nan)
    values[used] = [by_key.get(scan.key, np.nan) for scan in scans]
    return values[column.codes], words


def open_store_source(options: StoreOptions, report: Report) -> StoreSource:
    """Open a store; stale and damaged volumes are left out and named.

    Raises
    ------
    CohortError
        If there is no store, it is unfinished, or nothing in it can be used.
    ConfigError, MissingDependencyError
        If its address cannot be used.
    """
    store = open_store(options.path)
    bad: dict[int, str] = {}
    if options.check != "none":
        bad |= find_stale(store, report)
        for folder in changed_tables(store):
            report(Progress("warning", _TABLES_CHANGED.format(folder)))
    if options.check == "voxels":
        bad |= find_damaged(store, report)
    rows = np.setdiff1d(np.arange(len(store)), np.fromiter(bad, np.int64, len(bad)))
    keys = store.keys()
    failures = tuple(Failure(keys[row].decode(), bad[row]) for row in sorted(bad))
    for failure in failures[:SHOWN]:
        report(Progress("item_failed", f"{failure.item}: {failure.reason}"))
    if not len(rows):
        reason = f": {failures[0].reason}" if failures else ""
        raise CohortError(f"No volume of '{options.path}' can be used{reason}.")
    if failures:
        message = f"{len(failures)} of {len(store)} packed volumes are left out."
        report(Progress("warning", f"{message} Run 'neuropretrain pack' again."))
    return StoreSource(store, rows, failures)
