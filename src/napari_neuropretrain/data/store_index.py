"""The index of a store: what lies where, in columns.

A hundred thousand rows are some 20 MB and are never walked through one by one. Only the
columns that are asked for are read: 25 bytes a volume to find its voxels.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.store_codec import Precision
from napari_neuropretrain.errors import CohortError

PLACE = np.dtype(
    [
        ("shard", "<i4"),
        ("offset", "<i8"),
        ("bytes", "<i4"),
        ("step", "<f8"),
        ("origin", "|u1"),
    ]
)
"""Where the bytes of a volume lie, and how to restore it."""
SOURCE = np.dtype(
    [
        ("root", "<i2"),
        ("bytes", "<i8"),
        ("modified_ns", "<i8"),
        ("notes_ns", "<i8"),
        ("sha256", "S64"),
    ]
)
"""The file that a volume was packed from, and when its JSON was written."""
LONGEST_TEXT = 200
"""Columns with longer texts, such as remarks, are no labels and stay out."""
_TEXTS = ("participants", "sessions", "paths")


class StoreHeader(Config):
    """What holds for a whole store."""

    format: Literal[1] = 1
    """Version of the layout."""
    precision: Precision
    """What the voxels were rounded to."""
    contract: PreprocessingContract
    """How all volumes were preprocessed."""
    volumes_per_shard: int
    """Volumes in one file."""
    shards: int = 0
    """Files that the index knows of; the next one gets this number."""
    roots: tuple[str, ...] = ()
    """Folders that the volumes were packed from."""
    tables: tuple[str, ...] = ()
    """For each folder, a hash of its tables of participants and of quality."""
    columns: tuple[str, ...] = ()
    """Columns of the table of participants."""
    token: str = ""
    """Differs from one index to the next."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Packed volumes, one a row.

    Parameters
    ----------
    participants, sessions, paths
        BIDS ids, and paths below the root, as UTF-8 (N,).
    places
        Of type `PLACE`, (N,).
    sources
        Of type `SOURCE`, (N,).
    """

    participants: NDArray[np.bytes_]
    sessions: NDArray[np.bytes_]
    paths: NDArray[np.bytes_]
    places: NDArray[np.void]
    sources: NDArray[np.void]

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Self:
        """Return all rows of several."""
        if not parts:
            none = np.zeros(0, "S1")
            return cls(none, none, none, np.zeros(0, PLACE), np.zeros(0, SOURCE))
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def __len__(self) -> int:
        return len(self.places)

    def take(self, which: NDArray[Any]) -> Rows:
        """Return some rows, by number or by a mask."""
        return Rows(*(column[which] for column in vars(self).values()))

    @property
    def keys(self) -> NDArray[np.bytes_]:
        """Names as `Scan.key` gives them (N,)."""
        return join_keys(self.participants, self.sessions)


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column of the table: each different text once.

    Parameters
    ----------
    words
        UTF-8 (W,).
    codes
        For each row the number of its word, int32 (N,).
    """

    words: NDArray[np.bytes_]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Make a column of one text for each row."""
        words, codes = np.unique(encode_texts(texts), return_inverse=True)
        return cls(words, codes.astype(np.int32))


@dataclass(frozen=True, eq=False)
class StoreIndex:
    """A whole index in memory, to be written."""

    header: StoreHeader
    rows: Rows
    columns: Mapping[str, TextColumn] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return it as an uncompressed ``.npz``."""
        arrays: dict[str, NDArray[Any]] = dict(vars(self.rows))
        header = self.header.replace(columns=tuple(self.columns))
        text = json.dumps(header.model_dump(mode="json"))
        arrays["header"] = np.frombuffer(text.encode(), np.uint8)
        for number, column in enumerate(self.columns.values()):
            arrays[f"words_{number}"] = column.words
            arrays[f"codes_{number}"] = column.codes
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's allow_pickle
        return stream.getvalue()


def read_arrays(stream: IO[bytes], *names: str) -> tuple[NDArray[Any], ...]:
    """Read some columns of an index, no others.

    Raises
    ------
    CohortError
        If it is damaged.
    """
    try:
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as archive:
            return tuple(archive[name] for name in names)
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError) as error:
        raise CohortError(f"it is damaged ({error})") from None


def read_header(stream: IO[bytes], name: str) -> StoreHeader:
    """Read what an index says of the whole store.

    Raises
    ------
    CohortError
        If it is damaged.
    ConfigError
        If it was written by another version of this package.
    """
    (text,) = read_arrays(stream, "header")
    return StoreHeader.parse(json.loads(text.tobytes()), f"'{name}'")


def read_rows(stream: IO[bytes]) -> Rows:
    """Read all rows of an index, or of one shard."""
    return Rows(*read_arrays(stream, *_TEXTS, "places", "sources"))


def encode_texts(texts: Sequence[str]) -> NDArray[np.bytes_]:
    """Return texts as UTF-8 (N,), as wide as the longest."""
    return np.array([text.encode() for text in texts], np.bytes_)


def join_keys(
    participants: NDArray[np.bytes_], sessions: NDArray[np.bytes_]
) -> NDArray[np.bytes_]:
    """Join ids as `Scan.key` does.

    Examples
    --------
    >>> join_keys(np.array([b"sub-1", b"sub-2"]), np.array([b"", b"ses-1"])).tolist()
    [b'sub-1', b'sub-2_ses-1']
    """
    joined = np.char.add(np.char.add(participants, b"_"), sessions)
    return np.where(sessions == b"", participants, joined)
