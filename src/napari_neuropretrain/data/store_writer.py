"""Write a store, shard by shard; what was written survives a kill.

A shard is written once and never changed. Beside it lies a small file with its rows,
until the index, which is replaced as a whole, knows them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from napari_neuropretrain.data.store import INDEX, METADATA, open_store
from napari_neuropretrain.data.store_files import StoreFiles
from napari_neuropretrain.data.store_index import (
    Rows,
    StoreHeader,
    StoreIndex,
    TextColumn,
    read_rows,
)
from napari_neuropretrain.data.store_shards import ENTRIES, describe_array
from napari_neuropretrain.errors import ConfigError, ContractError

_OWN = (INDEX, METADATA, ENTRIES, "c")


class StoreWriter:
    """A store to which shards are added by `write_shard`.

    Parameters
    ----------
    files
        Where.
    header
        What the store is to hold. One that is there already must agree.

    Attributes
    ----------
    rows
        What is packed already, also by a run that was killed. Of two rows of one
        key the later holds.
    next_shard
        Number of the first shard to write.

    Raises
    ------
    CohortError
        If the index is damaged.
    ConfigError, ContractError
        If what is there was packed in another way.
    """

    def __init__(self, files: StoreFiles, header: StoreHeader) -> None:
        self.files = files
        self.header = self._begin(header)
        known = open_store(files.url).rows() if self.header.token else Rows.join([])
        unlisted = self._unlisted()
        self.rows = Rows.join([known, *unlisted.values()])
        self.next_shard = max([self.header.shards, *(one + 1 for one in unlisted)])

    def finish(
        self,
        rows: Rows,
        shards: int,
        roots: Mapping[str, str],
        columns: Mapping[str, TextColumn],
    ) -> StoreHeader:
        """Write the index.

        Parameters
        ----------
        rows
            Sorted by key, each key once.
        shards
            Number of the next shard.
        roots
            Folders, as numbered in the rows, and the hashes of their tables.
        columns
            Of the table, in the order of the rows.

        Returns
        -------
        StoreHeader
            As the index has it.
        """
        header = self.header.replace(
            shards=shards,
            roots=tuple(roots),
            tables=tuple(roots.values()),
            columns=tuple(columns),
            token=secrets.token_hex(8),
        )
        self.files.write(METADATA, describe_array(header))
        self.files.write(INDEX, StoreIndex(header, rows, columns).to_bytes())
        self.files.remove(ENTRIES)
        return header

    def _begin(self, wanted: StoreHeader) -> StoreHeader:
        """Return the header of what is there, or begin a new store."""
        there = self.files.names("")
        if METADATA not in there:
            if set(_OWN) & set(there):
                raise _no_store(self.files.url)
            self.files.write(METADATA, describe_array(wanted))
            return wanted
        header = self._begun()
        _refuse_other(self.files.url, header, wanted)
        return open_store(self.files.url).header if INDEX in there else header

    def _begun(self) -> StoreHeader:
        """Return what the store was begun with."""
        try:
            notes = json.loads(self.files.read(METADATA))["attributes"]["neuropretrain"]
        except (ValueError, KeyError, TypeError):
            raise _no_store(self.files.url) from None
        return StoreHeader.parse(notes, f"'{self.files.url}/{METADATA}'")

    def _unlisted(self) -> dict[int, Rows]:
        """Return the rows of the shards that the index does not know, by number."""
        found = {}
        for name in self.files.names(ENTRIES):
            number = int(name.split(".")[0])
            if number >= self.header.shards:
                with self.files.open(f"{ENTRIES}/{name}") as stream:
                    found[number] = read_rows(stream)
        return found


def remove_store(files: StoreFiles) -> None:
    """Remove a store, its index first; other files in its folder stay."""
    for name in _OWN:
        files.remove(name)


def _no_store(url: str) -> ConfigError:
    return ConfigError(
        f"'{url}' holds files, but no store that this package began. Give another "
        "output, or --overwrite."
    )


def _refuse_other(url: str, there: StoreHeader, wanted: StoreHeader) -> None:
    if differences := wanted.contract.differences(there.contract):
        raise ContractError(
            f"The store '{url}' holds volumes that were preprocessed in another way "
            f"(given {'; '.join(differences)}), and a network must see one way. Give "
            "another output, or --overwrite."
        )
    if wanted.precision != there.precision:
        raise ConfigError(
            f"The store '{url}' holds {there.precision}; precision is "
            f"{wanted.precision}. Give --precision {there.precision}, another output, "
            "or --overwrite."
        )
