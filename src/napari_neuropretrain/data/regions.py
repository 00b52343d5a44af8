"""Volumes of brain regions, from label maps or from a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Regions:
    """Sizes of brain regions.

    Parameters
    ----------
    names
        Of the regions: numbers of labels, or columns of a table.
    values
        (N, regions): of label maps each label's share of all labelled voxels, else
        the numbers of the table. A row of NaN where a scan has none.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]


def region_volumes(
    path: Path, scans: Sequence[Scan], names: Sequence[str] = ()
) -> Regions:
    """Return the size of each region in each scan.

    Parameters
    ----------
    path
        A folder of label maps, one for each scan, whose names begin with the name of
        the participant; or a table with participant_id and a column for each region.
    scans
        Whose regions are wanted.
    names
        Which regions, in this order; empty: all.

    Raises
    ------
    CohortError
        If nothing is there for any scan, a value of the table is no number, or a
        wanted region is not there.
    """
    read = _of_maps if path.is_dir() else _of_table
    found = read(path, scans, tuple(names))
    if not found.values.size or np.isnan(found.values).all():
        shown = ", ".join(scan.key for scan in scans[:3])
        raise CohortError(
            f"regions: '{path}' has nothing for any of the {len(scans)} scans "
            f"({shown}, …). Give a folder of label maps named after the participants, "
            "or a table with participant_id and a column for each region."
        )
    return found


def _of_maps(folder: Path, scans: Sequence[Scan], names: tuple[str, ...]) -> Regions:
    files = {
        _letters(image_stem(file.name)): file
        for file in sorted(folder.rglob("*"))
        if file.name.lower().endswith(IMAGE_SUFFIXES)
    }
    shares: list[dict[str, float]] = []
    for scan in scans:
        start = _letters(scan.key.replace("sub-", "", 1))
        fitting = [name for name in files if name.startswith(start)]
        shares.append(_shares(files[min(fitting, key=len)]) if fitting else {})
    there = {label for one in shares for label in one}
    if there and names and not there & set(names):
        raise CohortError(_lacking(folder, names))
    # A label that a map lacks is a region of no size.
    labels = names or tuple(sorted(there, key=int))
    rows = [
        [one.get(label, 0.0) if one else np.nan for label in labels] for one in shares
    ]
    return Regions(labels, np.array(rows))


def _lacking(path: Path, names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (
        f"regions: '{path}' lacks what the model learned from: "
        f"{', '.join(names[:5])}{more}. Give what was made in the same way."
    )


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().removeprefix("sub-"))


def _shares(file: Path) -> dict[str, float]:
    """Return the share of each label among the labelled voxels."""
    voxels = np.asanyarray(nib.load(file).dataobj)  # type: ignore[attr-defined]
    labels, counts = np.unique(voxels[voxels > 0], return_counts=True)
    names = [str(int(label)) for label in labels]
    return dict(zip(names, (counts / counts.sum()).tolist(), strict=True))


def _of_table(path: Path, scans: Sequence[Scan], names: tuple[str, ...]) -> Regions:
    rows = rows_by_key(path, read_table(path))
    first = next(iter(rows.values()), {})
    who = {
        find_column(first, given) for given in (PARTICIPANT_COLUMNS, SESSION_COLUMNS)
    }
    columns = names or tuple(name for name in first if name not in who)
    if lacking := [name for name in columns if name not in first]:
        raise CohortError(_lacking(path, lacking))
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
    return Regions(columns, found)
