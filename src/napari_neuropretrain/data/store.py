"""Read a store: many volumes in a few large files, each found by one look-up.

A store is an array of Zarr v3 (N, X, Y, Z), one chunk a volume and many chunks a shard,
with an index beside it. The index says where in its shard each volume lies, so that
reading one is one request for its bytes; Zarr's own readers ask for the shard's table
first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.store_codec import FloatArray, decode
from napari_neuropretrain.data.store_files import StoreFiles, is_address
from napari_neuropretrain.data.store_index import (
    Rows,
    StoreHeader,
    TextColumn,
    join_keys,
    read_arrays,
    read_header,
    read_rows,
)
from napari_neuropretrain.errors import CohortError, ImageError

FOLDER = "volumes.zarr"
INDEX = "index.npz"
METADATA = "zarr.json"

_T = TypeVar("_T")


class VolumeStore:
    """Packed volumes by row; rows are sorted by scan key.

    Can be pickled and forked: only the address travels, and each process opens files
    and index when it first reads. Between reads nothing of a volume is kept.

    Parameters
    ----------
    files
        The store's own.
    header
        As its index says.
    """

    def __init__(self, files: StoreFiles, header: StoreHeader) -> None:
        self.files = files
        self.header = header
        self.shape = header.contract.shape
        self._places: NDArray[np.void] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_places": None}

    def __len__(self) -> int:
        return len(self._opened())

    def read(self, row: int) -> FloatArray:
        """Return a volume, float32 (X, Y, Z).

        Raises
        ------
        ImageError
            If its bytes are damaged or gone; names the scan.
        CohortError
            If the index is damaged, or was written anew since the store was opened.
        """
        place = self._opened()[row]
        try:
            return read_place(self.files, self.header, place)
        except ImageError as error:
            key = self.keys()[row].decode()
            raise ImageError(
                f"The volume of '{key}' in '{self.files.url}' is damaged: "
                f"{error}. Pack it again: neuropretrain pack --verify, with the "
                "same input and output."
            ) from None

    def keys(self) -> NDArray[np.bytes_]:
        """Return the name of each row's scan, such as ``sub-01_ses-02``, UTF-8 (N,)."""
        return join_keys(*self._arrays("participants", "sessions"))

    def participants(self) -> NDArray[np.bytes_]:
        """Return the participant of each row, UTF-8 (N,)."""
        return self._arrays("participants")[0]

    def rows_of(self, participant: str) -> list[int]:
        """Return the rows of a participant, one a session; none if unknown."""
        found = np.flatnonzero(self.participants() == participant.encode())
        return [int(row) for row in found]

    def rows(self) -> Rows:
        """Return all that is known of each row."""
        return self._with_index(read_rows)

    def column(self, name: str) -> TextColumn:
        """Return a column of the table of participants.

        Raises
        ------
        CohortError
            If there is no such column.
        """
        if name not in self.header.columns:
            there = ", ".join(repr(column) for column in self.header.columns)
            raise CohortError(
                f"The table of '{self.files.url}' has no column '{name}'. "
                + (f"Its columns are {there}." if there else "It is empty.")
            )
        number = self.header.columns.index(name)
        words, codes = self._arrays(f"words_{number}", f"codes_{number}")
        return TextColumn(words, codes)

    def _opened(self) -> NDArray[np.void]:
        if self._places is None:
            (self._places,) = self._arrays("places")
        return self._places

    def _arrays(self, *names: str) -> tuple[NDArray[Any], ...]:
        return self._with_index(lambda stream: read_arrays(stream, *names))

    def _with_index(self, read: Callable[[Any], _T]) -> _T:
        with _open_index(self.files) as stream:
            try:
                header = read_header(stream, f"{self.files.url}/{INDEX}")
                if header.token == self.header.token:
                    return read(stream)
            except CohortError as error:
                raise _damaged(self.files.url, error) from None
        raise CohortError(
            f"'{self.files.url}' was packed again while it was in use, and its rows "
            "are others now. Start again."
        )


def open_store(path: str | Path) -> VolumeStore:
    """Open a store; no volume is read.

    Parameters
    ----------
    path
        The store itself, as a folder or an address, or the output folder of the job
        ``pack``.

    Raises
    ------
    CohortError
        If there is no store, it is unfinished, or its index is damaged.
    ConfigError, MissingDependencyError
        If the address cannot be used.
    """
    url = str(path)
    if not is_address(url) and (Path(url) / FOLDER).is_dir():
        url = str(Path(url) / FOLDER)
    files = StoreFiles(url)
    with _open_index(files) as stream:
        try:
            return VolumeStore(files, read_header(stream, f"{url}/{INDEX}"))
        except CohortError as error:
            raise _damaged(url, error) from None


def read_place(files: StoreFiles, header: StoreHeader, place: np.void) -> FloatArray:
    """Read and restore the volume at a place (of type `PLACE`), float32 (X, Y, Z).

    Raises
    ------
    ImageError
        If its bytes are damaged or gone.
    """
    name = shard_name(int(place["shard"]))
    start = int(place["offset"])
    try:
        chunk = files.read(name, start, start + int(place["bytes"]))
    except FileNotFoundError:
        raise ImageError(f"the file '{name}' is gone") from None
    except OSError as error:
        raise ImageError(f"the file '{name}' cannot be read ({error})") from None
    step, origin = float(place["step"]), int(place["origin"])
    return decode(chunk, header.precision, header.contract.shape, step, origin)


def shard_name(number: int) -> str:
    """Return the file of a shard, as Zarr names it.

    Examples
    --------
    >>> shard_name(3)
    'c/3/0/0/0'
    """
    return f"c/{number}/0/0/0"


def _open_index(files: StoreFiles) -> Any:
    try:
        return files.open(INDEX)
    except FileNotFoundError:
        pass
    if METADATA in files.names(""):
        raise CohortError(
            f"The store '{files.url}' is unfinished. Run the same 'neuropretrain pack' "
            "again; it goes on where it was stopped."
        )
    raise CohortError(
        f"There is no store at '{files.url}'. Give the output folder of 'neuropretrain "
        f"pack', or the address of a store ({FOLDER})."
    )


def _damaged(url: str, error: CohortError) -> CohortError:
    return CohortError(
        f"The index '{url}/{INDEX}' cannot be used: {error}. Pack the store anew: "
        "neuropretrain pack --overwrite."
    )
