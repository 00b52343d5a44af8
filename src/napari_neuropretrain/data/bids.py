"""Find the T1-weighted scans of a BIDS dataset or of this package's derivatives."""

from __future__ import annotations

from pathlib import Path

from napari_neuropretrain.data.cohort import Kind, Scan, bids_label
from napari_neuropretrain.data.tables import (
    SESSION_COLUMNS,
    Row,
    find_column,
    read_table,
    rows_by_key,
)
from napari_neuropretrain.progress import Failure

PREPROCESSED_SUFFIX = "_space-MNI152_desc-preproc_T1w.nii.gz"
_RAW_SUFFIXES = ("_T1w.nii.gz", "_T1w.nii")


def find_bids_images(root: Path) -> tuple[dict[str, list[Path]], Kind]:
    """Return the T1-weighted images of a dataset.

    Parameters
    ----------
    root
        Folder with ``sub-*/[ses-*/]anat``.

    Returns
    -------
    tuple
        Images by folder (``"sub-01/ses-02"``), and whether they are
        ``"preprocessed"`` by this package or ``"raw"``. Empty for a folder that is
        not BIDS.
    """
    files = [
        file
        for pattern in ("sub-*/anat/*", "sub-*/ses-*/anat/*")
        for file in sorted(root.glob(pattern))
        # macOS writes hidden companions that end like the image.
        if not file.name.startswith(".")
    ]
    preprocessed = [file for file in files if file.name.endswith(PREPROCESSED_SUFFIX)]
    if preprocessed:
        return _by_key(root, preprocessed), "preprocessed"
    raw = [
        file
        for file in files
        if file.name.endswith(_RAW_SUFFIXES)
        and "_space-" not in file.name
        and "_desc-" not in file.name
    ]
    return _by_key(root, raw), "raw"


def _by_key(root: Path, files: list[Path]) -> dict[str, list[Path]]:
    images: dict[str, list[Path]] = {}
    for file in files:
        folders = file.relative_to(root).parts[:-2]
        images.setdefault("/".join(folders), []).append(file)
    return images


def scans_of_bids(
    root: Path, images: dict[str, list[Path]]
) -> tuple[list[Scan], list[Failure], list[str]]:
    """Join the images of a dataset with its ``participants.tsv``.

    Returns
    -------
    tuple
        The scans; rows without scan and scans without row as failures; and a note
        for each scan of which several runs exist.

    Raises
    ------
    CohortError
        If the table lists a participant twice or has no participants.
    """
    rows = _participant_rows(root)
    scans, problems, notes = [], [], []
    used = set()
    for folder, runs in sorted(images.items()):
        participant, session = _entities(folder)
        key = f"{participant}_{session}" if session else participant
        found = next((name for name in (key, participant) if name in rows), None)
        used.add(found)
        if rows and found is None:
            problems.append(Failure(key, "has a scan but no row in participants.tsv"))
        row = rows[found] if found else {}
        row = {**row, **session_row(root, participant, session)}
        scans.append(Scan(participant, session or None, runs[0], row))
        if len(runs) > 1:
            others = ", ".join(run.name for run in runs[1:])
            notes.append(f"{key}: '{runs[0].name}' is used, not {others}.")
    problems += _without_image(root, images, [key for key in rows if key not in used])
    return scans, problems, notes


def _entities(folder: str) -> tuple[str, str]:
    participant, _, session = folder.partition("/")
    return bids_label("sub", participant), session and bids_label("ses", session)


def _without_image(
    root: Path, images: dict[str, list[Path]], unused: list[str]
) -> list[Failure]:
    """List rows, and participants' folders, for which there is no T1w image."""
    imaged = {folder.partition("/")[0] for folder in images}
    folders = {one.name for one in root.glob("sub-*") if one.is_dir()} - imaged
    listed = [
        Failure(key, f"is in participants.tsv but has no T1w image in '{root}'")
        for key in unused
    ]
    return listed + [
        Failure(name, f"has a folder in '{root}' but no T1w image in its anat folder")
        for name in sorted(folders)
        if bids_label("sub", name) not in unused
    ]


def _participant_rows(root: Path) -> dict[str, Row]:
    table = root / "participants.tsv"
    return rows_by_key(table, read_table(table)) if table.exists() else {}


def session_row(root: Path, participant: str, session: str) -> Row:
    """Return what the BIDS sessions table says, such as the age at that session."""
    table = root / participant / f"{participant}_sessions.tsv"
    if not session or not table.exists():
        return {}
    for row in read_table(table):
        column = find_column(row, SESSION_COLUMNS)
        if column and row[column].removeprefix("ses-") == session.removeprefix("ses-"):
            return row
    return {}
