"""Which video clips a data set has, and what each one shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_neuropretrain.data.tables import PATH_COLUMNS, Row, find_column, read_table
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")
LABEL_COLUMNS = ("label", "class", "class_name")
_LAYOUTS = (
    "Give a folder with one folder of clips for each class, or a CSV with the columns "
    "'path' and 'label' or with those of Kinetics ('label', 'youtube_id', "
    "'time_start', 'time_end')"
)


@dataclass(frozen=True)
class Clip:
    """A video file and the name of its class."""

    path: Path
    label: str


def read_clips(path: Path, split: str = "") -> tuple[list[Clip], list[Failure]]:
    """List the clips of a data set without opening them.

    Parameters
    ----------
    path
        A folder of class folders, or a CSV.
    split
        Only rows with this value in the column ``split``.

    Returns
    -------
    tuple
        Clips in the order of their paths, and rows of the CSV without a file.

    Raises
    ------
    CohortError
        If there are none, or the CSV has other columns.
    """
    if not path.exists():
        raise CohortError(f"There is no '{path}'. {_LAYOUTS}.")
    clips, missing = (
        (_clips_of_folders(path), []) if path.is_dir() else _clips_of_csv(path, split)
    )
    if not clips:
        lost = f" ({len(missing)} rows name files that are not there)"
        raise CohortError(
            f"There is no clip in '{path}'{lost if missing else ''}. {_LAYOUTS}; clips "
            f"end in {', '.join(VIDEO_SUFFIXES)}."
        )
    return sorted(clips, key=lambda clip: clip.path), missing


def _clips_of_folders(root: Path) -> list[Clip]:
    return [
        Clip(file, folder.name)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for file in folder.iterdir()
        if file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")
    ]


def _clips_of_csv(table: Path, split: str) -> tuple[list[Clip], list[Failure]]:
    rows = read_table(table)
    label = find_column(rows[0] if rows else (), LABEL_COLUMNS)
    if label is None:
        there = ", ".join(repr(name) for name in (rows[0] if rows else ()))
        raise CohortError(
            f"'{table}' has no column of labels; it has {there or 'no rows'}. "
            f"{_LAYOUTS}."
        )
    clips, missing = [], []
    for number, row in enumerate(_rows_of_split(table, rows, split), start=1):
        places = _places(table, row, row[label])
        found = next((place for place in places if place.is_file()), None)
        if found:
            clips.append(Clip(found, row[label]))
        else:
            reason = f"row {number} of '{table}' names no file that is there"
            missing.append(Failure(places[0].name, reason))
    return clips, missing


def _rows_of_split(table: Path, rows: list[Row], split: str) -> list[Row]:
    if not split:
        return rows
    if "split" not in rows[0]:
        raise CohortError(
            f"'{table}' has no column 'split' to look for '{split}' in. Leave out the "
            "option 'split', or add the column."
        )
    return [row for row in rows if row["split"] == split]


def _places(table: Path, row: Row, label: str) -> list[Path]:
    """Return where the clip of a row may lie."""
    column = find_column(row, PATH_COLUMNS)
    if column:
        return [table.parent / row[column]]
    try:
        start, end = (int(float(row[f"time_{edge}"])) for edge in ("start", "end"))
        stem = f"{row['youtube_id']}_{start:06d}_{end:06d}"
    except (KeyError, ValueError):
        raise CohortError(
            f"'{table}' has neither a column 'path' nor the columns of Kinetics. "
            f"{_LAYOUTS}."
        ) from None
    folders = (table.parent, table.parent / label, table.parent / table.stem / label)
    return [
        folder / f"{stem}{suffix}" for folder in folders for suffix in VIDEO_SUFFIXES
    ]
