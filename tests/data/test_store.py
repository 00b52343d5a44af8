"""Stores: what is kept of a volume, how it is found, and what goes wrong."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.store import VolumeStore, open_store
from napari_neuropretrain.data.store_codec import Precision, decode, encode
from napari_neuropretrain.data.store_files import StoreFiles
from napari_neuropretrain.data.store_index import (
    PLACE,
    SOURCE,
    Rows,
    StoreHeader,
    StoreIndex,
    TextColumn,
    encode_texts,
)
from napari_neuropretrain.data.store_shards import PackedScan, write_shard
from napari_neuropretrain.data.store_writer import StoreWriter, remove_store
from napari_neuropretrain.errors import (
    CohortError,
    ConfigError,
    ContractError,
    ImageError,
    MissingDependencyError,
)

EDGE = 16
CONTRACT = PreprocessingContract(shape=(EDGE, EDGE, EDGE))
PRECISIONS: tuple[Precision, ...] = ("float16", "int8")
FloatArray = NDArray[np.float32]


def brain(seed: int) -> FloatArray:
    """A ball of skewed noise with many values near 0, and 0 outside."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(EDGE) - EDGE / 2] * 3, indexing="ij"))
    noise = rng.gamma(2, 1, grid.shape[1:]) - 2
    noise.flat[::7] *= 1e-6
    inside = (grid**2).sum(0) < (EDGE / 2 - 1) ** 2
    return np.where(inside, noise, 0).astype(np.float32)


def header(precision: Precision = "float16", room: int = 4) -> StoreHeader:
    return StoreHeader(precision=precision, contract=CONTRACT, volumes_per_shard=room)


def write(url: str, seeds: Sequence[int], begun: StoreHeader) -> VolumeStore:
    """Pack `brain` of each seed under the name ``sub-<seed>``."""
    writer = StoreWriter(StoreFiles(url), begun)
    room, parts = begun.volumes_per_shard, [writer.rows]
    for number, start in enumerate(range(0, len(seeds), room), writer.next_shard):
        scans = [
            PackedScan(
                f"sub-{seed:03d}",
                "",
                f"{seed}.nii.gz",
                encode(brain(seed), begun.precision),
                (0, 1, 2, 3, ""),
            )
            for seed in seeds[start : start + room]
        ]
        parts.append(write_shard(writer.files, writer.header, number, scans))
    rows = Rows.join(parts)
    rows = rows.take(np.argsort(rows.keys))
    ages = TextColumn.of([str(40 + row) for row in range(len(rows))])
    writer.finish(rows, number + 1, {"/study": ""}, {"age": ages})
    return open_store(url)


@pytest.fixture
def memory_url() -> Iterator[str]:
    """An address in fsspec's memory, which stands for object storage."""
    yield "memory://bucket/cohort.zarr"
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize("seed", range(3))
def test_float16_is_off_by_half_a_last_bit(seed: int) -> None:
    image = brain(seed)
    kept = encode(image, "float16")
    back = decode(kept.chunk, "float16", image.shape, kept.step, kept.origin)
    assert np.array_equal(back == 0, image == 0)
    bound = np.maximum(np.abs(image) * 2.0**-11, 2.0**-24)
    assert (np.abs(back - image) <= bound).all()


@pytest.mark.parametrize("seed", range(3))
def test_int8_is_off_by_half_a_step(seed: int) -> None:
    image = brain(seed)
    kept = encode(image, "int8")
    assert kept.step == pytest.approx(float(np.ptp(image)) / 254)
    back = decode(kept.chunk, "int8", image.shape, kept.step, kept.origin)
    assert np.array_equal(back == 0, image == 0)
    assert np.array_equal(np.sign(back), np.sign(image))
    assert np.abs(back - image).max() <= kept.step / 2 * (1 + 1e-5)
    assert len(np.unique(back)) > 128


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "values",
    [(0, 0), (0, 3), (0, -3), (2, 5), (-1e-9, 1e9), (1e-7, -1e-7), (127, -127)],
    ids=str,
)
def test_zeros_stay_zeros_and_nothing_else_becomes_zero(
    precision: Precision, values: tuple[float, float]
) -> None:
    image = np.zeros((16, 16, 16), np.float32)
    image[3:9] = np.linspace(*values, 6 * 256).reshape(6, 16, 16)
    if precision == "float16" and np.abs(image).max() > 65504:
        with pytest.raises(ImageError, match="choose int8"):
            encode(image, precision)
        return
    kept = encode(image, precision)
    back = decode(kept.chunk, precision, image.shape, kept.step, kept.origin)
    assert np.array_equal(back == 0, image == 0)
    highest = np.abs(image).max()
    step = kept.step or highest * 2.0**-10 + 2.0**-23
    assert np.abs(back - image).max() <= step / 2 + highest * 2.0**-23


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(precision: Precision, bad: float) -> None:
    image = brain(0)
    image[3, 3, 3] = bad
    with pytest.raises(ImageError, match="no finite numbers"):
        encode(image, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_any_row_is_found_here_and_in_object_storage(
    precision: Precision, tmp_path: Path, memory_url: str
) -> None:
    seeds = [8, 3, 5, 1, 9, 2, 7]
    for url in (str(tmp_path / "cohort.zarr"), memory_url):
        store = write(url, seeds, header(precision))
        assert len(store) == 7
        assert [key.decode() for key in store.keys().tolist()] == [
            f"sub-{seed:03d}" for seed in sorted(seeds)
        ]
        for row, seed in reversed(list(enumerate(sorted(seeds)))):
            kept = encode(brain(seed), precision)
            back = decode(kept.chunk, precision, CONTRACT.shape, kept.step, kept.origin)
            assert np.array_equal(store.read(row), back)
        assert store.rows_of("sub-005") == [3]
        assert store.rows_of("sub-006") == []
        column = store.column("age")
        assert column.words[column.codes].tolist()[:2] == [b"40", b"41"]
        with pytest.raises(CohortError, match=r"no column 'sex'.*'age'"):
            store.column("sex")


def test_zarr_reads_the_same_codes(tmp_path: Path) -> None:
    url = str(tmp_path / "cohort.zarr")
    store = write(url, range(6), header("float16"))
    array = zarr.open_array(url, mode="r")
    assert array.shape == (8, EDGE, EDGE, EDGE)
    assert array.metadata.zarr_format == 3
    for row in range(6):
        assert np.array_equal(array[row].astype(np.float32), store.read(row))
    assert not array[6:].any()
    assert array.attrs["neuropretrain"]["precision"] == "float16"


def test_more_is_appended_and_nothing_rewritten(tmp_path: Path) -> None:
    url = str(tmp_path / "cohort.zarr")
    write(url, range(6), header())
    first = (tmp_path / "cohort.zarr/c/0/0/0/0").stat().st_mtime_ns
    store = write(url, range(6, 9), header())
    assert (tmp_path / "cohort.zarr/c/0/0/0/0").stat().st_mtime_ns == first
    assert store.header.shards == 3
    assert len(store) == 9
    assert np.abs(store.read(7) - brain(7)).max() < 2e-3


def test_shards_may_be_missing_between_others(tmp_path: Path) -> None:
    """As when a run with several processes is killed."""
    url = str(tmp_path / "cohort.zarr")
    writer = StoreWriter(StoreFiles(url), header())
    volume = encode(brain(5), "float16")
    scan = PackedScan("sub-005", "ses-1", "5.nii.gz", volume, (0, 1, 2, 3, ""))
    write_shard(writer.files, writer.header, 2, [scan])
    again = StoreWriter(StoreFiles(url), header())
    assert again.next_shard == 3
    assert again.rows.keys.tolist() == [b"sub-005_ses-1"]
    again.finish(again.rows, 3, {}, {})
    assert np.abs(open_store(url).read(0) - brain(5)).max() < 2e-3
    array = zarr.open_array(url, mode="r")
    assert array.shape[0] == 12
    assert not array[:8].any()
    assert array[8].any()


@pytest.mark.parametrize("place", ["start", "middle", "checksum"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_flipped_bit_is_found_and_named(
    precision: Precision, place: str, tmp_path: Path
) -> None:
    store = write(str(tmp_path / "cohort.zarr"), range(6), header(precision))
    at = store.rows().places[2]
    inside = {"start": 0, "middle": int(at["bytes"]) // 2, "checksum": at["bytes"] - 1}
    path = tmp_path / f"cohort.zarr/c/{at['shard']}/0/0/0"
    data = bytearray(path.read_bytes())
    data[int(at["offset"] + inside[place])] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"'sub-002'.*checksum differs.*--verify"):
        store.read(2)
    for row in (0, 1, 3, 4, 5):
        store.read(row)


def test_files_that_are_cut_or_gone_are_named(tmp_path: Path) -> None:
    store = write(str(tmp_path / "cohort.zarr"), range(6), header())
    shard = tmp_path / "cohort.zarr/c/1/0/0/0"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(ImageError, match=r"'sub-004'.*checksum"):
        store.read(4)
    shard.unlink()
    with pytest.raises(ImageError, match=r"'sub-004'.*'c/1/0/0/0' is gone"):
        store.read(4)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    store = write(str(tmp_path / "cohort.zarr"), range(6), header())
    index = tmp_path / "cohort.zarr/index.npz"
    data = bytearray(index.read_bytes())
    position = data.find(b"sub-003")
    data[position] ^= 1
    index.write_bytes(data)
    with pytest.raises(CohortError, match=r"index\.npz' cannot be used.*--overwrite"):
        store.keys()
    index.write_bytes(data[:200])
    with pytest.raises(CohortError, match=r"index\.npz' cannot be used"):
        open_store(tmp_path / "cohort.zarr")


def test_what_is_no_store_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"no store at .*neuropretrain pack"):
        open_store(tmp_path / "nowhere")
    url = tmp_path / "cohort.zarr"
    StoreWriter(StoreFiles(str(url)), header())
    with pytest.raises(CohortError, match="unfinished"):
        open_store(url)
    with pytest.raises(ConfigError, match="wonderland"):
        open_store("wonderland://bucket/a.zarr")
    zarr.create_array(str(tmp_path / "other"), shape=(3,), dtype="f4")
    with pytest.raises(ConfigError, match="no store that this package began"):
        StoreWriter(StoreFiles(str(tmp_path / "other")), header())


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingDependencyError, match=r"s3://.*pip install s3fs"):
        open_store("s3://bucket/cohort.zarr")


def test_a_mixture_is_refused(tmp_path: Path) -> None:
    url = str(tmp_path / "cohort.zarr")
    write(url, range(3), header())
    other = CONTRACT.replace(spacing_mm=1.0)
    with pytest.raises(ContractError, match=r"spacing_mm: 1\.0, not 2\.0"):
        StoreWriter(StoreFiles(url), header().replace(contract=other))
    with pytest.raises(ConfigError, match="holds float16; precision is int8"):
        StoreWriter(StoreFiles(url), header("int8"))
    remove_store(StoreFiles(url))
    StoreWriter(StoreFiles(url), header("int8"))


def test_rows_never_change_under_a_reader(tmp_path: Path) -> None:
    url = str(tmp_path / "cohort.zarr")
    store = write(url, range(3, 6), header())
    assert len(pickle.loads(pickle.dumps(store))) == 3
    write(url, range(3), header())  # sorted before the others
    with pytest.raises(CohortError, match="packed again while it was in use"):
        pickle.loads(pickle.dumps(store)).read(0)
    assert len(open_store(url)) == 6


def checksum(store: VolumeStore, row: int) -> float:
    return float(store.read(row).sum())


@pytest.mark.filterwarnings("ignore:This process .* multi-threaded")  # Python 3.12
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_many_processes_read_at_once(method: str, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    store = write(str(tmp_path / "cohort.zarr"), range(24), header())
    expected = [checksum(store, row) for row in range(24)]
    order = np.random.default_rng(0).permutation(24).tolist()
    with multiprocessing.get_context(method).Pool(3) as pool:
        found = pool.starmap(checksum, [(store, row) for row in order * 4], 5)
    assert found == [expected[row] for row in order] * 4


def write_large_index(folder: Path, count: int) -> None:
    """Write an index of many volumes; all of them lie in one place."""
    write(str(folder), range(1), header())
    store = open_store(folder)
    numbers = range(count)
    places = np.repeat(store.rows().places, count).astype(PLACE)
    sources = np.zeros(count, SOURCE)
    sources["sha256"] = b"f" * 64
    rows = Rows(
        encode_texts([f"sub-{number:06d}" for number in numbers]),
        encode_texts([f"ses-{number % 3}" for number in numbers]),
        encode_texts([f"sub-{number:06d}/anat/T1w.nii.gz" for number in numbers]),
        places,
        sources,
    )
    columns = {
        "age": TextColumn.of([str(20 + number % 600 / 10) for number in numbers]),
        "sex": TextColumn.of(["FM"[number % 2] for number in numbers]),
    }
    index = StoreIndex(store.header, rows, columns)
    (folder / "index.npz").write_bytes(index.to_bytes())


READ = """
import sys, time, torch
from napari_neuropretrain.data.store import open_store
def peak_kib():
    lines = open("/proc/self/status").read().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
before = peak_kib()
start = time.process_time()
store = open_store(sys.argv[1])
store.read(len(store) - 1)
seconds = time.process_time() - start
for row in range(0, len(store), max(1, len(store) // 300)):
    store.read(row)
print(seconds, (peak_kib() - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hundred_thousand_volumes_open_at_once_in_little_memory(
    tmp_path: Path,
) -> None:
    figures = {}
    for count in (100, 100_000):
        write_large_index(tmp_path / str(count), count)
        done = subprocess.run(
            [sys.executable, "-c", READ, str(tmp_path / str(count))],
            capture_output=True,
            text=True,
            check=True,
        )
        figures[count] = [float(word) for word in done.stdout.split()]
    seconds, mib = figures[100_000]
    assert seconds < 2
    # 25 bytes a volume, and the buffer that the index is read through.
    assert mib - figures[100][1] < 16
    store = open_store(tmp_path / "100000")
    start = time.process_time()
    assert store.rows_of("sub-077777") == [77_777]
    assert len(store.keys()) == len(store.column("sex").codes) == 100_000
    assert time.process_time() - start < 2
