"""Volumes of brain regions, from label maps or from a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.image_files import IMAGE_SUFFIXES
from napari_neuropretrain.data.tables import (
    PARTICIPANT_COLUMNS,
    SESSION_COLUMNS,
    find_column,
    image_stem,
    read_table,
    rows_by_key,
)
from napari_neuropretrain.errors import CohortError


def region_volumes(path: Path, scans: Sequence[Scan]) -> NDArray[np.float64]:
    """Return the size of each region in each scan.

    Parameters
    ----------
    path
        A folder of label maps, one for each scan, whose names begin with the name of
        the participant; or a table with participant_id and a column for each region.
    scans
        Whose regions are wanted.

    Returns
    -------
    numpy.ndarray
        (N, regions): of label maps each label's share of all labelled voxels, else
        the numbers of the table. A row of NaN where a scan has none.

    Raises
    ------
    CohortError
        If nothing is there for any scan, or a value of the table is no number.
    """
    found = _of_maps(path, scans) if path.is_dir() else _of_table(path, scans)
    if not found.size or np.isnan(found).all():
        names = ", ".join(scan.key for scan in scans[:3])
        raise CohortError(
            f"regions: '{path}' has nothing for any of the {len(scans)} scans "
            f"({names}, …). Give a folder of label maps named after the participants, "
            "or a table with participant_id and a column for each region."
        )
    return found


def _of_maps(folder: Path, scans: Sequence[Scan]) -> NDArray[np.float64]:
    files = {
        _letters(image_stem(file.name)): file
        for file in sorted(folder.rglob("*"))
        if file.name.lower().endswith(IMAGE_SUFFIXES)
    }
    shares: list[dict[int, float]] = []
    for scan in scans:
        start = _letters(scan.key.replace("sub-", "", 1))
        names = [name for name in files if name.startswith(start)]
        shares.append(_shares(files[min(names, key=len)]) if names else {})
    labels = sorted({label for one in shares for label in one})
    return np.array(
        [[one.get(label, 0.0) if one else np.nan for label in labels] for one in shares]
    )


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().removeprefix("sub-"))


def _shares(file: Path) -> dict[int, float]:
    """Return the share of each label among the labelled voxels."""
    voxels = np.asanyarray(nib.load(file).dataobj)  # type: ignore[attr-defined]
    labels, counts = np.unique(voxels[voxels > 0], return_counts=True)
    return dict(
        zip(labels.astype(int).tolist(), (counts / counts.sum()).tolist(), strict=True)
    )


def _of_table(path: Path, scans: Sequence[Scan]) -> NDArray[np.float64]:
    rows = rows_by_key(path, read_table(path))
    first = next(iter(rows.values()), {})
    who = {
        find_column(first, names) for names in (PARTICIPANT_COLUMNS, SESSION_COLUMNS)
    }
    columns = [name for name in first if name not in who]
    found = np.full((len(scans), len(columns)), np.nan)
    for index, scan in enumerate(scans):
        row = rows.get(scan.key, rows.get(scan.participant))
        if row is None:
            continue
        try:
            found[index] = [float(row[name]) for name in columns]
        except ValueError:
            raise CohortError(
                f"regions: '{path}' has something else than numbers for {scan.key}. "
                "Each column but participant_id and session_id must be a region."
            ) from None
    return found
