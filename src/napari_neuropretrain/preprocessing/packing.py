"""Preprocessed scans become shards of a store, in any process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.quality import QUALITY_TABLE
from napari_neuropretrain.data.store_codec import encode
from napari_neuropretrain.data.store_files import StoreFiles
from napari_neuropretrain.data.store_index import Rows, StoreHeader
from napari_neuropretrain.data.store_shards import PackedScan, write_shard
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.errors import ImageError, NeuropretrainError
from napari_neuropretrain.preprocessing.source import describe_source
from napari_neuropretrain.progress import Failure


@dataclass(frozen=True)
class ShardTask:
    """What one shard is made of; it travels to the process that makes it.

    Parameters
    ----------
    files, header
        The store.
    number
        Of the shard.
    root, root_number
        Folder of the scans.
    scans
        Preprocessed, at most as many as a shard takes.
    """

    files: StoreFiles
    header: StoreHeader
    number: int
    root: Path
    root_number: int
    scans: tuple[Scan, ...]


@dataclass(frozen=True, eq=False)
class ShardDone:
    """The rows of a shard, and the scans that are not in it."""

    rows: Rows
    failures: tuple[Failure, ...]


def pack_shard(task: ShardTask, tell: Callable[[], None] = lambda: None) -> ShardDone:
    """Read, encode and write the scans of a shard; bad ones are left out.

    Parameters
    ----------
    task
        Which.
    tell
        Called after each scan; may raise to stop.
    """
    packed, failures = [], []
    for scan in task.scans:
        try:
            packed.append(_pack(task, scan))
        except (ImageError, OSError) as error:
            failures.append(Failure(scan.key, str(error)))
        tell()
    if not packed:
        return ShardDone(Rows.join([]), tuple(failures))
    rows = write_shard(task.files, task.header, task.number, packed)
    return ShardDone(rows, tuple(failures))


def pack_shards(
    tasks: Sequence[ShardTask], workers: int, tell: Callable[[], None]
) -> Generator[ShardDone, None, None]:
    """Make shards, here or in processes, in the order in which they are done.

    Parameters
    ----------
    tasks
        Shards to make.
    workers
        Processes; 1 means this one.
    tell
        Called after each scan; raises to stop. What is done stays.

    Raises
    ------
    NeuropretrainError
        If a process died.
    """
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield pack_shard(task, tell)
        return
    # Spawned: what forking does to open connections and threads is not known.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        waiting = {pool.submit(pack_shard, task): len(task.scans) for task in tasks}
        try:
            for future in as_completed(waiting):
                yield future.result()
                for _ in range(waiting[future]):
                    tell()
        except BrokenProcessPool:
            raise NeuropretrainError(
                f"One of {workers} processes died, probably for want of memory. What "
                "was packed is kept: run it again, with fewer workers or a smaller "
                "volumes_per_shard."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def notes_path(image: str) -> str:
    """Return the JSON beside a preprocessed image.

    Examples
    --------
    >>> notes_path("sub-1_desc-preproc_T1w.nii.gz")
    'sub-1_desc-preproc_T1w.json'
    """
    return image.removesuffix(".gz").removesuffix(".nii") + ".json"


def hash_tables(folder: Path) -> str:
    """Return a hash of the tables that decide on labels and on who takes part."""
    digest = hashlib.sha256()
    for name in ("participants.tsv", QUALITY_TABLE):
        path = folder / name
        digest.update(path.read_bytes() if path.is_file() else b"none")
    return digest.hexdigest()


def _pack(task: ShardTask, scan: Scan) -> PackedScan:
    source = describe_source(scan.path)
    image = read_volume(scan.path).data
    shape = task.header.contract.shape
    if image.shape != shape:
        raise ImageError(
            f"'{scan.path}' has {image.shape} voxels, and its JSON says {shape}. "
            "Preprocess the scan again."
        )
    try:
        volume = encode(image, task.header.precision)
    except ImageError as error:
        raise ImageError(f"'{scan.path}' cannot be packed: {error}.") from None
    return PackedScan(
        participant=scan.participant,
        session=scan.session or "",
        path=scan.path.absolute().relative_to(task.root).as_posix(),
        volume=volume,
        source=(
            task.root_number,
            source["Bytes"],
            source["ModifiedNs"],
            Path(notes_path(str(scan.path))).stat().st_mtime_ns,
            source["SHA256"],
        ),
    )
