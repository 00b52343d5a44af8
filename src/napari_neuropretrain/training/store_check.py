"""Find packed volumes that are stale or damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.store import VolumeStore
from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.preprocessing.derivatives import contract_of, read_sidecar
from napari_neuropretrain.preprocessing.packing import hash_tables, notes_path
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.pack_plan import is_fresh


def find_stale(store: VolumeStore, report: Report) -> dict[int, str]:
    """Compare a store with the scans it was packed from.

    Sizes and times are compared. Only what differs is read: a file with another time
    and the same content, such as a copy, is not stale.

    Parameters
    ----------
    store
        Scans in folders that are not to be seen from here count as fresh.
    report
        Hears how far it is; may raise `Cancelled`.

    Returns
    -------
    dict
        Row to the reason.
    """
    rows, stale = store.rows(), {}
    roots = [root if Path(root).is_dir() else "" for root in store.header.roots]
    every = len(rows)
    for row, (path, source) in enumerate(zip(rows.paths, rows.sources, strict=True)):
        if row % 1000 == 0:
            message = "" if row else "Comparing with the scans"
            report(Progress("step", message, row, every))
        if root := roots[source["root"]]:
            image = f"{root}/{path.decode()}"
            if reason := _why_stale(image, source, store.header.contract):
                stale[row] = reason
    return stale


def changed_tables(store: VolumeStore) -> list[str]:
    """Return the folders whose tables changed since they were packed."""
    folders = zip(store.header.roots, store.header.tables, strict=True)
    return [
        root
        for root, table in folders
        if Path(root).is_dir() and hash_tables(Path(root)) != table
    ]


def find_damaged(store: VolumeStore, report: Report) -> dict[int, str]:
    """Read every volume; returns row to the reason for those that are damaged."""
    damaged = {}
    for row in range(len(store)):
        report(Progress("step", "" if row else "Reading all", row, len(store)))
        try:
            store.read(row)
        except ImageError as error:
            damaged[row] = str(error)
    return damaged


def _why_stale(
    image: str, source: np.void, contract: PreprocessingContract
) -> str | None:
    try:
        status = os.stat(image)
        written_ns = os.stat(notes_path(image)).st_mtime_ns
    except OSError:
        return f"'{image}' or its JSON is gone since it was packed"
    same = (status.st_size, status.st_mtime_ns, written_ns) == (
        source["bytes"],
        source["modified_ns"],
        source["notes_ns"],
    )
    if same:
        return None
    path = Path(image)
    try:
        now = contract_of(path, read_sidecar(path))
    except ImageError as error:
        return str(error)
    if differences := now.differences(contract):
        return (
            f"'{image}' was preprocessed in another way since it was packed: "
            f"{'; '.join(differences)}"
        )
    return None if is_fresh(path, source) else f"'{image}' changed since it was packed"
