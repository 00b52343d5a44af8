"""Volumes per second of the store, beside MONAI's PersistentDataset and NIfTI files.

    python benchmarks/store.py [--volumes 200] [--edge 80] [--rounds 3]
        [--workers 0 2] [--cold] [--rows 100000] [--keep FOLDER]

All read the same volumes in one random order through torch's `DataLoader`, in batches
of 8, float32, one thread each. They take turns, and the fastest round of each counts;
the first one, in which workers start and caches fill, does not. With `--cold`, the
system forgets the files before each round (Linux). The volumes are smooth noise in an
ellipsoid, as large as a brain and 0 outside. With `--keep`, what was prepared in that
folder serves again.

"CPU ms" is the processor's time for a volume without workers, which other programs
on the machine disturb less than the clock.

Then an index of `--rows` volumes, all of whose rows point at one volume: seconds to
open it and to read a first volume, and how far memory grows in 300 random reads.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import zarr
from monai.data import PersistentDataset
from monai.transforms import Compose, EnsureChannelFirst, EnsureType, LoadImage
from scipy import ndimage
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.sources import CohortOptions, StoreOptions
from napari_neuropretrain.config.packing import PackConfig
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.data.store import open_store
from napari_neuropretrain.data.store_index import (
    SOURCE,
    Rows,
    StoreIndex,
    TextColumn,
    encode_texts,
)
from napari_neuropretrain.data.volumes import Volume
from napari_neuropretrain.preprocessing.derivatives import write_derivative
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.progress import silent
from napari_neuropretrain.training.cohort_source import open_cohort
from napari_neuropretrain.training.pack import pack
from napari_neuropretrain.training.store_source import open_store_source


class Reader(Dataset[Tensor]):
    """Volumes (1, X, Y, Z) of a function of their number."""

    def __init__(self, read: Callable[[int], Tensor], order: list[int]) -> None:
        self.read = read
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Tensor:
        return self.read(self.order[index])


class Nifti:
    """Plain nibabel, without checks."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __call__(self, index: int) -> Tensor:
        image = nib.load(self.paths[index])
        return torch.from_numpy(np.asarray(image.dataobj, np.float32))[None]


class Monai:
    """Tensors that MONAI saved when they were first read."""

    def __init__(self, paths: list[Path], cache: Path) -> None:
        chain = Compose(
            [
                LoadImage(image_only=True),
                EnsureChannelFirst(),
                EnsureType(track_meta=False),
            ]
        )
        self.data = PersistentDataset([str(path) for path in paths], chain, cache)

    def __call__(self, index: int) -> Tensor:
        return self.data[index]


class ZarrReader:
    """The same store through Zarr's own reader."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.array: zarr.Array | None = None

    def __call__(self, index: int) -> Tensor:
        if self.array is None:
            self.array = zarr.open_array(self.folder, mode="r")
        return torch.from_numpy(self.array[index]).float()[None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=200)
    parser.add_argument("--edge", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        readers = prepare(folder, given.volumes, given.edge)
        if given.rounds:
            measure(readers, given)
        if given.rows:
            measure_index(folder, given.rows)


def prepare(
    folder: Path, count: int, edge: int
) -> dict[str, tuple[Callable[[int], Tensor], list[Path]]]:
    """Write the volumes in every format; returns a reader and the files of each."""
    root = folder / "derivatives"
    if not root.exists():
        write_cohort(root, count, edge)
    cohort = open_cohort(CohortOptions(path=root, memory_gib=0), silent)
    paths = [scan.path for scan in cohort.cohort.scans]
    readers: dict[str, tuple[Callable[[int], Tensor], list[Path]]] = {
        "NIfTI (.nii.gz), nibabel": (Nifti(paths), paths),
        "NIfTI (.nii.gz), source cohort": (cohort.volume, paths),
    }
    monai = Monai(paths, folder / "monai")
    for index in range(len(paths)):
        monai(index)
    cached = list((folder / "monai").glob("*.pt"))
    readers["MONAI PersistentDataset"] = (monai, cached)
    for precision in ("float16", "int8"):
        output = folder / precision
        if not output.exists():
            values = {"input": root, "output": output, "precision": precision}
            start = time.perf_counter()
            pack(PackConfig.parse(values), silent)
            rate = len(paths) / (time.perf_counter() - start)
            print(f"packed as {precision}: {rate:.0f} volumes per second")
        store = open_store_source(StoreOptions(path=str(output)), silent)
        files = list(output.glob("volumes.zarr/c/*/0/0/0"))
        readers[f"store, {precision}"] = (store.volume, files)
    array = folder / "float16/volumes.zarr"
    zarr_files = readers["store, float16"][1]
    readers["store, float16, Zarr's reader"] = (ZarrReader(array, count), zarr_files)
    return readers


def write_cohort(root: Path, count: int, edge: int) -> None:
    rng = np.random.default_rng(0)
    ticks = np.linspace(-1, 1, edge) ** 2
    inside = np.sqrt(ticks[:, None, None] + ticks[:, None] + ticks) < 0.92
    smooth = [ndimage.gaussian_filter(rng.normal(size=(edge,) * 3), 1) for _ in "abcd"]
    contract = PreprocessingContract(shape=(edge, edge, edge))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    for number in range(count):
        noise = np.roll(smooth[number % 4], rng.integers(0, edge, 3), (0, 1, 2))
        noise = (noise - noise[inside].mean()) / noise[inside].std()
        image = np.where(inside, noise, 0).astype(np.float32)
        done = Preprocessed(image, affine, inside, inside, np.eye(4), {})
        scan = Scan(f"sub-{number:05d}", None, Path("raw.nii.gz"))
        raw = Volume.from_native(image, affine)
        write_derivative(root, scan, raw, done, contract, {})
    rows = [f"sub-{number:05d}\t{20 + number % 60}" for number in range(count)]
    table = "\n".join(["participant_id\tage", *rows])
    (root / "participants.tsv").write_text(table + "\n")


def measure(
    readers: dict[str, tuple[Callable[[int], Tensor], list[Path]]],
    given: argparse.Namespace,
) -> None:
    order = np.random.default_rng(1).permutation(given.volumes).tolist()
    state = "files forgotten before each round" if given.cold else "files in memory"
    print(f"{given.volumes} volumes of {given.edge}^3, {state}, volumes per second")
    names = "".join(f"{f'{count} workers':>12}" for count in given.workers)
    print(f"{'':34}{'KiB/volume':>12}{'CPU ms':>10}{names}")
    best: dict[tuple[str, int], float] = {}
    spent = dict.fromkeys(readers, math.inf)
    for count in given.workers:
        loaders = {
            name: DataLoader(
                Reader(read, order),
                batch_size=8,
                num_workers=count,
                persistent_workers=count > 0,
            )
            for name, (read, _) in readers.items()
        }
        for turn in range(given.rounds + 1):
            for name, loader in loaders.items():
                if given.cold:
                    forget(readers[name][1])
                start, used = time.perf_counter(), time.process_time()
                read = sum(len(batch) for batch in loader)
                rate = read / (time.perf_counter() - start)
                used = (time.process_time() - used) / read
                if turn:
                    best[name, count] = max(best.get((name, count), 0), rate)
                    spent[name] = min(spent[name], used if count == 0 else math.inf)
    for name, (_, files) in readers.items():
        size = sum(path.stat().st_size for path in files) / given.volumes / 1024
        rates = "".join(f"{best[name, count]:>12.0f}" for count in given.workers)
        print(f"{name:34}{size:>12.0f}{1e3 * spent[name]:>10.2f}{rates}")


def forget(paths: list[Path]) -> None:
    """Drop files from the system's cache."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


OPEN = """
import sys, time, pickle
import numpy as np, torch
from napari_neuropretrain.data.store import open_store
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if "VmHWM" in line)) / 1024
before = peak()
start = time.perf_counter()
store = open_store(sys.argv[1])
count = len(store)
opened = time.perf_counter() - start
store.read(count // 2)
first = time.perf_counter() - start
for row in np.random.default_rng(0).integers(0, count, 300):
    store.read(int(row))
reading = peak() - before
start = time.perf_counter()
assert store.rows_of("sub-%06d" % (count // 3)) == [count // 3]
found = time.perf_counter() - start
size = len(pickle.dumps(store))
print(f"{count:>10}{opened:>12.3f}{first:>12.3f}{found:>12.3f}{reading:>12.1f}{size:>8}")
"""


def measure_index(folder: Path, most: int) -> None:
    print(f"{'rows':>10}{'open, s':>12}{'+ read, s':>12}{'find, s':>12}", end="")
    print(f"{'MiB grown':>12}{'pickle':>8}")
    for count in sorted({100, math.isqrt(100 * most), most}):
        large = folder / f"index-{count}"
        write_large_store(folder / "float16/volumes.zarr", large, count)
        subprocess.run([sys.executable, "-c", OPEN, str(large)], check=True)


def write_large_store(small: Path, large: Path, count: int) -> None:
    """Write an index whose rows all point at the first volume of another store."""
    shard = large / "c/0/0/0/0"
    shard.parent.mkdir(parents=True, exist_ok=True)
    shard.write_bytes((small / "c/0/0/0/0").read_bytes())
    store = open_store(small)
    numbers = range(count)
    sources = np.zeros(count, SOURCE)
    sources["sha256"] = b"f" * 64
    rows = Rows(
        encode_texts([f"sub-{number:06d}" for number in numbers]),
        encode_texts([f"ses-{number % 3}" for number in numbers]),
        encode_texts([f"sub-{number:06d}/ses-1/anat/T1w.nii.gz" for number in numbers]),
        np.repeat(store.rows().places[:1], count),
        sources,
    )
    columns = {
        "age": TextColumn.of([f"{20 + number % 600 / 10}" for number in numbers]),
        "sex": TextColumn.of(["FM"[number % 2] for number in numbers]),
    }
    index = StoreIndex(store.header, rows, columns)
    (large / "index.npz").write_bytes(index.to_bytes())


if __name__ == "__main__":
    main()
