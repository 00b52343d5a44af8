"""The files of a store that hold voxels: shards of a Zarr v3 array."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.data.store import METADATA, shard_name
from napari_neuropretrain.data.store_codec import (
    CODE_TYPES,
    COMPRESSION_LEVEL,
    COMPRESSOR,
    EncodedVolume,
)
from napari_neuropretrain.data.store_files import StoreFiles
from napari_neuropretrain.data.store_index import (
    PLACE,
    SOURCE,
    Rows,
    StoreHeader,
    StoreIndex,
    encode_texts,
)

ENTRIES = "entries"
"""Folder of the rows that no index knows yet."""
_EMPTY = 2**64 - 1


@dataclass(frozen=True)
class PackedScan:
    """A volume that was encoded, and where it came from.

    Parameters
    ----------
    participant, session, path
        BIDS ids, empty for no session, and the path below the root.
    volume
        Its bytes.
    source
        Root number, bytes, time, time of the JSON, and SHA-256, as in `SOURCE`.
    """

    participant: str
    session: str
    path: str
    volume: EncodedVolume
    source: tuple[int, int, int, int, str]


def write_shard(
    files: StoreFiles, header: StoreHeader, number: int, scans: Sequence[PackedScan]
) -> Rows:
    """Write a shard, and then its rows, without which it counts as not written."""
    chunks = [scan.volume.chunk for scan in scans]
    data, offsets = build_shard(chunks, header.volumes_per_shard)
    files.write(shard_name(number), data)
    places = [
        (number, offset, len(chunk), scan.volume.step, scan.volume.origin)
        for scan, chunk, offset in zip(scans, chunks, offsets, strict=True)
    ]
    rows = Rows(
        encode_texts([scan.participant for scan in scans]),
        encode_texts([scan.session for scan in scans]),
        encode_texts([scan.path for scan in scans]),
        np.array(places, PLACE),
        np.array([scan.source for scan in scans], SOURCE),
    )
    listed = StoreIndex(header, rows).to_bytes()
    files.write(f"{ENTRIES}/{number:06d}.npz", listed)
    return rows


def build_shard(chunks: Sequence[bytes], room: int) -> tuple[bytes, list[int]]:
    """Join chunks to a shard of Zarr v3, whose table of places stands at the end.

    Parameters
    ----------
    chunks
        At most `room`.
    room
        Chunks in a full shard.

    Returns
    -------
    shard
        Its bytes.
    offsets
        Where each chunk begins.
    """
    sizes = [len(chunk) for chunk in chunks]
    offsets = [0, *accumulate(sizes[:-1])]
    table: NDArray[Any] = np.full((room, 2), _EMPTY, "<u8")
    table[: len(chunks)] = np.stack([offsets, sizes], 1)
    end = table.tobytes()
    checksum = struct.pack("<I", google_crc32c.value(end))
    return b"".join([*chunks, end, checksum]), offsets


def describe_array(header: StoreHeader) -> bytes:
    """Return ``zarr.json`` of the array (rows, X, Y, Z) that the shards make up."""
    import zarr
    from zarr.codecs import BloscCodec, Crc32cCodec

    shape, room = header.contract.shape, header.volumes_per_shard
    # Folders and columns of the cohort are for the index alone.
    notes = header.replace(roots=(), tables=(), columns=(), token="").model_dump(
        mode="json"
    )
    blosc = BloscCodec(cname=COMPRESSOR, clevel=COMPRESSION_LEVEL, shuffle="noshuffle")
    store: dict[str, Any] = {}
    zarr.create_array(
        store,
        shape=(room * header.shards, *shape),
        chunks=(1, *shape),
        shards=(room, *shape),
        dtype=CODE_TYPES[header.precision],
        compressors=[blosc, Crc32cCodec()],
        fill_value=0,
        attributes={"neuropretrain": notes},
    )
    return bytes(store[METADATA].to_bytes())
