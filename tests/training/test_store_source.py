"""The source ``store``: the same as ``cohort``, and what is stale or damaged."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_neuropretrain.config.catalog import SOURCES
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.sources import CohortOptions, StoreOptions
from napari_neuropretrain.config.packing import PackConfig
from napari_neuropretrain.data.cohort import Scan
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.cohort_source import open_cohort
from napari_neuropretrain.training.pack import pack
from napari_neuropretrain.training.store_source import StoreSource, open_store_source


@pytest.fixture(scope="module")
def packed(derivatives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twenty people of `derivatives`."""
    output = tmp_path_factory.mktemp("packed")
    pack(PackConfig(input=derivatives, output=output, volumes_per_shard=8), silent)
    return output


def opened(path: Path, check: str = "sources") -> StoreSource:
    options = StoreOptions.parse({"path": str(path), "check": check})
    return open_store_source(options, silent)


def test_it_gives_what_the_cohort_gives(derivatives: Path, packed: Path) -> None:
    source = SOURCES["store"].load()(StoreOptions(path=str(packed)), silent)
    cohort = open_cohort(CohortOptions(path=derivatives), silent)
    assert isinstance(source, VolumeSource)
    assert source.ids == cohort.ids
    assert (source.shape, source.contract) == (cohort.shape, cohort.contract)
    assert source.failures == ()
    assert source.label_names == ("age", "sex", "diagnosis", "site")
    for index in range(len(source)):
        volume, expected = source.volume(index), cohort.volume(index)
        assert volume.dtype == torch.float32
        assert volume.shape == (1, 32, 32, 32)
        assert torch.equal(volume, expected.half().float())
    for name in ("age", "Sex", "diagnosis", "site"):
        assert source.classes(name) == cohort.classes(name)
        ours = [source.label(index, name) for index in range(20)]
        assert ours == [cohort.label(index, name) for index in range(20)]
    with pytest.raises(CohortError, match=r"no column 'weight'.*'age'"):
        source.label(0, "weight")


def test_missing_and_wrong_labels_are_those_of_the_cohort(
    write_volume: Callable[..., Path], tmp_path: Path
) -> None:
    for number in range(4):
        write_volume(tmp_path, Scan(f"sub-{number}", None, Path("raw.nii.gz")), number)
    table = "participant_id\tage\tsex\told\nsub-0\tn/a\tM\t1\nsub-1\t40.5\tf\t200\n"
    table += "sub-2\t40.5\tF\t3\nsub-3\t50\tn/a\tgrey\n"
    (tmp_path / "participants.tsv").write_text(table)
    pack(PackConfig(input=tmp_path, output=tmp_path / "packed"), silent)
    source = opened(tmp_path / "packed")
    assert [source.label(index, "AGE") for index in range(4)] == [None, 40.5, 40.5, 50]
    assert source.classes("sex") == ("f", "m")
    assert [source.label(index, "sex") for index in range(4)] == [1, 0, 0, None]
    with pytest.raises(CohortError, match="sub-3 has 'grey'"):
        source.label(0, "old")


class Volumes(Dataset[Tensor]):
    def __init__(self, source: StoreSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Tensor:
        return self.source.volume(index)


@pytest.mark.filterwarnings("ignore:This process .* multi-threaded")  # Python 3.12
def test_workers_of_a_loader_read(packed: Path) -> None:
    source = opened(packed)
    source.volume(0)  # opened here before the workers start
    read = torch.cat(list(DataLoader(Volumes(source), batch_size=4, num_workers=2)))
    assert torch.equal(read, torch.stack([source.volume(row) for row in range(20)]))


def test_a_pickle_holds_no_cohort(packed: Path) -> None:
    source = opened(packed)
    assert len(source.ids) == 20
    source.label(0, "age")
    source.volume(0)
    data = pickle.dumps(source)
    assert b"sub-07" not in data
    again = pickle.loads(data)
    assert torch.equal(again.volume(7), source.volume(7))
    assert again.ids == source.ids


@pytest.fixture
def five(write_volume: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with five scans, and beside it their store."""
    root = tmp_path / "derivatives"
    for number in range(5):
        write_volume(root, Scan(f"sub-{number}", None, Path("raw.nii.gz")), number)
    pack(PackConfig(input=root, output=tmp_path / "packed"), silent)
    return root


def test_stale_volumes_are_named_and_left_out(
    five: Path, write_volume: Callable[..., Path]
) -> None:
    store = five.parent / "packed"
    assert opened(store).ids == tuple(f"sub-{number}" for number in range(5))
    write_volume(five, Scan("sub-1", None, Path("raw.nii.gz")), 77)
    write_volume(
        five,
        Scan("sub-2", None, Path("raw.nii.gz")),
        2,
        contract=PreprocessingContract(shape=(32, 32, 32), spacing_mm=3.0),
    )
    (image,) = five.glob("sub-3/anat/*_desc-preproc_T1w.nii.gz")
    image.unlink()
    (image,) = five.glob("sub-4/anat/*_desc-preproc_T1w.nii.gz")
    os.utime(image)  # another time, but the same content
    heard: list[Progress] = []
    source = open_store_source(StoreOptions(path=str(store)), heard.append)
    assert source.ids == ("sub-0", "sub-4")
    reasons = {failure.item: failure.reason for failure in source.failures}
    assert "changed since it was packed" in reasons["sub-1"]
    assert "another way" in reasons["sub-2"]
    assert "spacing_mm: 3.0, not 2.0" in reasons["sub-2"]
    assert "is gone since it was packed" in reasons["sub-3"]
    told = [one.message for one in heard if one.state == "item_failed"]
    assert [message.split(":")[0] for message in told] == ["sub-1", "sub-2", "sub-3"]
    assert torch.equal(source.volume(1), opened(store, "none").volume(4))
    assert len(opened(store, "none")) == 5
    five.rename(five.with_name("elsewhere"))  # out of sight: nothing to compare with
    assert len(opened(store)) == 5


def test_changed_tables_are_told(five: Path) -> None:
    store = five.parent / "packed"
    for name in ("participants.tsv", "quality.tsv"):
        heard: list[Progress] = []
        table = five / name
        table.write_text("participant_id\tage\nsub-1\t50\n")
        options = StoreOptions(path=str(store))
        assert len(open_store_source(options, heard.append)) == 5
        (warning,) = [one.message for one in heard if one.state == "warning"]
        assert f"'{five}' changed since it was packed: labels may be old" in warning
        table.unlink()
    assert opened(store).failures == ()


def test_damaged_volumes_are_named_and_left_out(five: Path) -> None:
    store = five.parent / "packed"
    shard = store / "volumes.zarr/c/0/0/0/0"
    data = bytearray(shard.read_bytes())
    data[int(opened(store).store.rows().places[3]["offset"]) + 9] ^= 4
    shard.write_bytes(data)
    assert len(opened(store)) == 5
    source = opened(store, "voxels")
    assert source.ids == ("sub-0", "sub-1", "sub-2", "sub-4")
    (failure,) = source.failures
    assert failure.item == "sub-3"
    assert "checksum differs" in failure.reason
    shard.unlink()
    with pytest.raises(CohortError, match=r"No volume .*'sub-0'.*is gone"):
        opened(store, "voxels")


def test_int8_is_close_and_keeps_the_mask(five: Path, tmp_path: Path) -> None:
    pack(PackConfig(input=five, output=tmp_path / "small", precision="int8"), silent)
    source, exact = opened(tmp_path / "small"), opened(five.parent / "packed")
    for index in range(5):
        small, volume = source.volume(index), exact.volume(index)
        assert torch.equal(small == 0, volume == 0)
        step = source.store.rows().places[index]["step"]
        assert np.isclose(step, np.ptp(volume.numpy()) / 254, rtol=1e-3)
        assert (small - volume).abs().max() <= 0.5 * step + 4e-3
