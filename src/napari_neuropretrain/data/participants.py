"""Read a cohort from whatever a person points at."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from napari_neuropretrain.data.bids import (
    PREPROCESSED_SUFFIX,
    find_bids_images,
    scans_of_bids,
)
from napari_neuropretrain.data.cohort import Cohort, Kind, Scan, bids_label
from napari_neuropretrain.data.dicom import is_dicom_folder
from napari_neuropretrain.data.image_files import IMAGE_SUFFIXES
from napari_neuropretrain.data.labels import binary_labels, numeric_labels
from napari_neuropretrain.data.quality import QUALITY_TABLE, read_quality
from napari_neuropretrain.data.tables import (
    EXCLUDE_COLUMN,
    PATH_COLUMNS,
    TABLE_SUFFIXES,
    find_column,
    image_stem,
    is_excluded,
    read_table,
    scans_of_table,
)
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure

__all__ = ["Cohort", "Scan", "binary_labels", "numeric_labels", "read_cohort"]

_ALLOWED = (
    f"an image ({', '.join(IMAGE_SUFFIXES)}), a folder of DICOM slices, a BIDS "
    f"dataset, a folder of images, or a table ({', '.join(TABLE_SUFFIXES)}) with a "
    "'path' column"
)


def read_cohort(path: str | os.PathLike[str]) -> Cohort:
    """List the scans at `path` with their table rows, without reading voxels.

    Parameters
    ----------
    path
        One image file, the folder of one DICOM series, a BIDS dataset, a folder
        this package preprocessed into, a folder of images or of DICOM folders, or
        a CSV/TSV table with a column of paths.

    Returns
    -------
    Cohort
        Scans sorted by key. What could not be used is in its `problems`. Scans of
        a preprocessed folder that its quality table rejects, and rows that the table
        excludes (column ``exclude``), are left out, which its `notes` say.

    Raises
    ------
    CohortError
        If nothing usable is there, or the table contradicts itself.
    """
    path = Path(path)
    if not path.exists():
        raise CohortError(f"There is no '{path}'. Give {_ALLOWED}.")
    if path.is_dir():
        return _read_folder(path)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _read_table_cohort(path)
    if path.name.lower().endswith(IMAGE_SUFFIXES):
        ours = path.name.endswith(PREPROCESSED_SUFFIX)
        kind: Kind = "preprocessed" if ours else "raw"
        return _cohort(path, [_lone_scan(path)], kind=kind)
    raise CohortError(f"'{path}' is not something to read scans from. Give {_ALLOWED}.")


def _read_folder(folder: Path) -> Cohort:
    images, kind = find_bids_images(folder)
    if images:
        scans, problems, notes = scans_of_bids(folder, images)
        if kind == "preprocessed":
            scans, rejected = _without_rejected(folder, scans)
            notes += rejected
        return _cohort(folder, scans, problems, notes, kind)
    table = folder / "participants.tsv"
    if table.exists():
        rows = read_table(table)
        if rows and find_column(rows[0], PATH_COLUMNS):
            return _read_table_cohort(table)
    if is_dicom_folder(folder):
        return _cohort(folder, [_lone_scan(folder)])
    return _cohort(folder, lone_scans(folder))


def lone_scans(folder: Path) -> list[Scan]:
    """Return the images and DICOM folders in a plain folder, named by their names."""
    return [
        _lone_scan(file)
        for file in sorted(folder.iterdir())
        if _is_image(file) or is_dicom_folder(file)
    ]


def _without_rejected(folder: Path, scans: list[Scan]) -> tuple[list[Scan], list[str]]:
    """Leave out the scans that the quality table rejects, and say so."""
    quality = read_quality(folder)
    bad = {key: row for key, row in quality.items() if row.final == "reject"}
    used = [scan for scan in scans if scan.key not in bad]
    if scans and not used:
        raise CohortError(
            f"Every scan in '{folder}' is rejected in its {QUALITY_TABLE}. Look at "
            "them in quality.html, and write 'keep' as decision of those to use."
        )
    notes = []
    for scan in scans:
        if row := bad.get(scan.key):
            why = row.note if row.decision else row.reason
            notes.append(
                f"{scan.key} is left out: rejected in {QUALITY_TABLE}"
                f"{' by decision' if row.decision else ''}{f' ({why})' if why else ''}."
            )
    return used, notes


def _is_image(file: Path) -> bool:
    visible = not file.name.startswith(".")
    return visible and file.is_file() and file.name.lower().endswith(IMAGE_SUFFIXES)


def _read_table_cohort(table: Path) -> Cohort:
    scans, problems = scans_of_table(table, read_table(table))
    return _cohort(table, scans, problems)


def _lone_scan(path: Path) -> Scan:
    """Make a scan of a path that has only its name to go by."""
    entities = dict(part.split("-", 1) for part in _entity_parts(path))
    name = entities.get("sub") or image_stem(path.name)
    session = entities.get("ses")
    return Scan(
        bids_label("sub", name), bids_label("ses", session) if session else None, path
    )


def _entity_parts(path: Path) -> list[str]:
    parts = image_stem(path.name).split("_")
    return [part for part in parts if part.startswith(("sub-", "ses-"))]


def _cohort(
    root: Path,
    scans: list[Scan],
    problems: list[Failure] | None = None,
    notes: list[str] | None = None,
    kind: Kind = "raw",
) -> Cohort:
    """Sort the scans and refuse an empty cohort or two scans of one name."""
    if not scans:
        reasons = "; ".join(f"{one.item}: {one.reason}" for one in (problems or [])[:5])
        raise CohortError(
            f"There is no scan in '{root}'{f' ({reasons})' if reasons else ''}. Give "
            f"{_ALLOWED}."
        )
    scans = sorted(scans, key=lambda scan: scan.key)
    for one, other in pairwise(scans):
        if one.key == other.key:
            raise CohortError(
                f"'{one.path}' and '{other.path}' are both named '{one.key}', because "
                "BIDS names hold letters and digits only. Rename one of them."
            )
    used, left_out = _without_excluded(root, scans)
    notes = [*(notes or ()), *left_out]
    return Cohort(tuple(used), root, kind, tuple(problems or ()), tuple(notes))


def _without_excluded(root: Path, scans: list[Scan]) -> tuple[list[Scan], list[str]]:
    """Leave out the scans whose row says so, and name them."""
    used = [scan for scan in scans if not is_excluded(scan.row)]
    if not used:
        raise CohortError(
            f"Everyone in '{root}' is excluded by the column '{EXCLUDE_COLUMN}' of the "
            "table. Empty it in the rows of those to use."
        )
    gone = [scan.key for scan in scans if is_excluded(scan.row)]
    text = f"left out: excluded by the column '{EXCLUDE_COLUMN}' of the table."
    return used, [f"{key} is {text}" for key in gone]
