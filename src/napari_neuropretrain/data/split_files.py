"""The file that says who is in which part, and that every run cites."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast, get_args

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.splits import Part, part_of_fold
from napari_neuropretrain.data.tables import MISSING_VALUES, Row, read_table
from napari_neuropretrain.errors import CohortError, ConfigError

SPLITS = "splits.tsv"
"""File name in a run folder."""


def write_splits(path: str | os.PathLike[str], splits: Mapping[str, Part]) -> Path:
    """Write a division as a TSV file that is either whole or not there at all.

    Parameters
    ----------
    path
        The file; its columns are participant_id, session_id and split.
    splits
        Part by scan key.
    """
    return _write(Path(path), "split", splits.items())


def write_folds(path: str | os.PathLike[str], folds: Mapping[str, int]) -> Path:
    """Write folds as a TSV file: participant_id, session_id and fold, from 1.

    Parameters
    ----------
    path
        The file.
    folds
        Fold by scan key.
    """
    return _write(Path(path), "fold", folds.items())


def _write(path: Path, column: str, values: Iterable[tuple[str, object]]) -> Path:
    lines = [f"participant_id\tsession_id\t{column}"]
    for key, value in sorted(values):
        participant, _, session = key.partition("_")
        lines.append(f"{participant}\t{session or 'n/a'}\t{value}")
    write_text(path, "\n".join(lines) + "\n")
    return path


def read_splits(path: str | os.PathLike[str], fold: int = 0) -> dict[str, Part]:
    """Read a division that was written here, or that a person made.

    Parameters
    ----------
    path
        A table with the columns participant_id and split or fold; session_id may
        be there.
    fold
        For a file of folds: the one to test on, from 1. The next one is the
        validation, and the others are for training.

    Returns
    -------
    dict
        Part by scan key.

    Raises
    ------
    CohortError
        If a column is missing, a part has another name, or a participant is in
        two parts.
    ConfigError
        If `fold` does not fit the file.
    """
    path = Path(path)
    rows = read_table(path)
    columns = rows[0].keys() if rows else ()
    if "participant_id" not in columns or not {"split", "fold"} & set(columns):
        raise CohortError(
            f"'{path}' needs the columns 'participant_id' and 'split' (or 'fold'); it "
            f"has {', '.join(repr(name) for name in columns) or 'no line'}."
        )
    found = _parts_of_folds(path, rows, fold) if fold else _parts(path, rows)
    splits: dict[str, Part] = {}
    part_of: dict[str, str] = {}
    for row, part in zip(rows, found, strict=True):
        participant, session = row["participant_id"], row.get("session_id", "")
        if part_of.setdefault(participant, part) != part:
            raise CohortError(
                f"'{path}' puts {participant} into '{part_of[participant]}' and into "
                f"'{part}'. Keep all sessions of a participant in one part."
            )
        known = session.lower() not in MISSING_VALUES
        splits[f"{participant}_{session}" if known else participant] = part
    return splits


def _parts(path: Path, rows: list[Row]) -> list[Part]:
    if "split" not in rows[0]:
        raise ConfigError(
            f"fold: '{path}' holds folds. Say which one to test on, from 1."
        )
    for row in rows:
        if row["split"] not in get_args(Part):
            raise CohortError(
                f"'{path}' gives {row['participant_id']} the split '{row['split']}'; "
                f"allowed are {', '.join(get_args(Part))}."
            )
    return [cast("Part", row["split"]) for row in rows]


def _parts_of_folds(path: Path, rows: list[Row], fold: int) -> list[Part]:
    texts = [row.get("fold", "") for row in rows]
    wrong = next((text for text in texts if not text.isdecimal()), None)
    if wrong is not None:
        raise CohortError(
            f"fold: the column 'fold' of '{path}' must hold numbers from 1, not "
            f"'{wrong}'. Leave fold at 0 for a file with a column 'split'."
        )
    numbers = [int(text) for text in texts]
    folds = max(numbers)
    if set(numbers) != set(range(1, folds + 1)) or folds < 3:
        raise CohortError(
            f"'{path}' must number its folds from 1 on without a gap, and have at "
            f"least 3: it has {', '.join(map(str, sorted(set(numbers))))}."
        )
    if fold > folds:
        raise ConfigError(f"fold: '{path}' has {folds} folds, not {fold}.")
    return [part_of_fold(number, fold, folds) for number in numbers]


def hash_splits(splits: Mapping[str, Part]) -> str:
    """Return the SHA-256 of who is in which part, whatever file it came from.

    Examples
    --------
    >>> one = hash_splits({"sub-1": "train", "sub-2": "test"})
    >>> one == hash_splits({"sub-2": "test", "sub-1": "train"}), len(one)
    (True, 64)
    """
    lines = "\n".join(f"{key} {part}" for key, part in sorted(splits.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
