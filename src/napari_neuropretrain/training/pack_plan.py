"""What a run of ``pack`` keeps, packs and leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.store_index import (
    LONGEST_TEXT,
    Rows,
    TextColumn,
    encode_texts,
)
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.preprocessing.packing import notes_path
from napari_neuropretrain.preprocessing.source import same_source


@dataclass(frozen=True, eq=False)
class PackPlan:
    """What to do with a store.

    Parameters
    ----------
    kept
        Numbers of the rows that stay as they are, (N,).
    todo
        Scans to pack: new ones, and those whose file changed.
    dropped
        Number of rows whose scan is no longer in its folder, or was rejected.
    """

    kept: NDArray[np.int64]
    todo: tuple[Scan, ...]
    dropped: int


def plan_packing(
    rows: Rows, scans: Sequence[Scan], root: int, roots: Sequence[str]
) -> PackPlan:
    """Compare a store with a cohort.

    Parameters
    ----------
    rows
        Of the store; of two with one key the later holds.
    scans
        The cohort.
    root, roots
        Number of the cohort's folder among the folders of the store.

    Raises
    ------
    CohortError
        If another cohort of the store has a participant of this name.
    """
    newest = {key.decode(): row for row, key in enumerate(rows.keys.tolist())}
    wanted = {scan.key: scan for scan in scans}
    kept, dropped = [], 0
    for key, row in newest.items():
        source, scan = rows.sources[row], wanted.get(key)
        elsewhere = source["root"] != root
        if scan is None:
            dropped += not elsewhere
            if elsewhere:
                kept.append(row)
        elif is_fresh(scan.path, source):
            kept.append(row)
            del wanted[key]
        elif elsewhere:
            raise _taken(key, roots[source["root"]])
    return PackPlan(np.array(kept, np.int64), tuple(wanted.values()), dropped)


def is_fresh(path: Path, source: np.void) -> bool:
    """Tell whether a scan is still the file of a row (of type `SOURCE`)."""
    known = {
        "Bytes": int(source["bytes"]),
        "ModifiedNs": int(source["modified_ns"]),
        "SHA256": source["sha256"].decode(),
    }
    return same_source(path, known)


def place_below(rows: Rows, scans: Sequence[Scan], folder: Path, root: int) -> Rows:
    """Return rows with the present paths and times of these scans.

    A folder may have been moved or copied since they were packed.
    """
    paths, sources = [path.decode() for path in rows.paths], rows.sources.copy()
    number = {key.decode(): row for row, key in enumerate(rows.keys.tolist())}
    for scan in scans:
        if (row := number.get(scan.key)) is None:
            continue
        paths[row] = scan.path.absolute().relative_to(folder).as_posix()
        sources[row]["root"] = root
        sources[row]["modified_ns"] = scan.path.stat().st_mtime_ns
        notes = Path(notes_path(str(scan.path)))
        sources[row]["notes_ns"] = notes.stat().st_mtime_ns
    return replace(rows, paths=encode_texts(paths), sources=sources)


def table_columns(
    keys: Sequence[str],
    scans: Sequence[Scan],
    before: dict[str, dict[str, str]],
) -> tuple[dict[str, TextColumn], list[str]]:
    """Return the columns of the table in the order of `keys`.

    Parameters
    ----------
    keys
        Of the rows.
    scans
        Whose own rows of the table hold.
    before
        For the other scans: for each column, texts by key.

    Returns
    -------
    columns
        By name.
    left_out
        Names of columns with long texts.
    """
    tables = {scan.key: scan.row for scan in scans}
    given = dict.fromkeys(name for scan in scans for name in scan.row)
    columns, left_out = {}, []
    for name in dict.fromkeys([*before, *given]):
        old = before.get(name, {})
        texts = [
            tables[key].get(name, "") if key in tables else old.get(key, "")
            for key in keys
        ]
        if max(map(len, texts), default=0) > LONGEST_TEXT:
            left_out.append(name)
        elif name in given or any(texts):
            columns[name] = TextColumn.of(texts)
    return columns, left_out


def _taken(key: str, folder: str) -> CohortError:
    return CohortError(
        f"The store has another '{key}', from '{folder}'. Give the participants of "
        "each cohort names of their own, or pack this one into another output."
    )
