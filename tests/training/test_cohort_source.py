"""The source ``cohort``: volumes, labels, rejected scans, unpacked files."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_neuropretrain.config.catalog import SOURCES
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.quality import QualityRow, write_quality
from napari_neuropretrain.errors import CohortError, ContractError, ImageError
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.cohort_source import CohortSource, open_cohort


def opened(root: Path, cache: Path | None = None) -> CohortSource:
    return open_cohort(CohortOptions(path=root, cache=str(cache or "")), silent)


def test_volumes_and_labels_come_from_files_and_table(derivatives: Path) -> None:
    source = SOURCES["cohort"].load()(CohortOptions(path=derivatives), silent)
    assert isinstance(source, VolumeSource)
    assert len(source) == 20
    assert source.shape == (32, 32, 32)
    assert source.ids[:2] == ("sub-00", "sub-01")
    scan = source.cohort.scans[3]
    expected = torch.from_numpy(read_derivative(scan.path).image)[None]
    assert torch.equal(source.volume(3), expected)
    assert source.label(3, "age") == 46
    assert source.classes("age") == ()
    assert source.classes("sex") == ("f", "m")
    assert [source.label(index, "Sex") for index in range(4)] == [1, 1, 0, 0]
    assert source.classes("diagnosis") == ("ad", "cn")
    with pytest.raises(CohortError, match="no column 'weight'"):
        source.label(0, "weight")


def test_a_missing_value_is_no_label(
    write_volume: Callable[..., Path], tmp_path: Path
) -> None:
    for number in range(2):
        write_volume(tmp_path, Scan(f"sub-{number}", None, Path("raw.nii.gz")), number)
    table = "participant_id\tage\tsex\nsub-0\tn/a\tM\nsub-1\t40\tn/a\n"
    (tmp_path / "participants.tsv").write_text(table)
    source = opened(tmp_path)
    assert [source.label(index, "age") for index in (0, 1)] == [None, 40]
    assert [source.label(index, "sex") for index in (0, 1)] == [0, None]


def test_rejected_and_broken_scans_are_left_out(
    write_volume: Callable[..., Path], tmp_path: Path
) -> None:
    paths = [
        write_volume(tmp_path, Scan(f"sub-{number}", None, Path("raw.nii.gz")), number)
        for number in range(3)
    ]
    row = QualityRow("sub-1", "sub-1", None, "reject", "no brain")
    write_quality(tmp_path, {"sub-1": row})
    notes = paths[2].with_name(paths[2].name.replace(".nii.gz", ".json"))
    notes.write_text("{}")
    heard: list[Progress] = []
    source = open_cohort(CohortOptions(path=tmp_path), heard.append)
    assert source.ids == ("sub-0",)
    assert [failure.item for failure in source.failures] == ["sub-2"]
    assert {one.state for one in heard} == {"warning", "item_failed"}


def test_a_mixture_is_refused(
    write_volume: Callable[..., Path], tmp_path: Path
) -> None:
    scans = [Scan(f"sub-{number}", None, Path("raw.nii.gz")) for number in range(2)]
    write_volume(tmp_path, scans[0], 0)
    other = PreprocessingContract(shape=(24, 24, 24))
    write_volume(tmp_path, scans[1], 1, contract=other)
    with pytest.raises(ContractError, match="2 ways"):
        opened(tmp_path)


def test_unpacked_volumes_are_mapped_and_follow_the_file(
    write_volume: Callable[..., Path], tmp_path: Path
) -> None:
    root, cache = tmp_path / "derivatives", tmp_path / "unpacked"
    scan = Scan("sub-0", None, Path("raw.nii.gz"))
    write_volume(root, scan, 0)
    source = opened(root, cache)
    first = source.volume(0)
    (kept,) = cache.iterdir()
    again = pickle.loads(pickle.dumps(opened(root, cache))).volume(0)
    assert torch.equal(first, again)
    assert isinstance(np.load(kept, mmap_mode="r"), np.memmap)
    start = kept.read_bytes()[:500]
    kept.unlink()  # it is mapped; cut short, it would end this process
    kept.write_bytes(start)  # what a full disk leaves
    assert torch.equal(opened(root, cache).volume(0), first)
    write_volume(root, scan, 1)
    assert not torch.equal(opened(root, cache).volume(0), first)


def test_a_volume_that_is_gone_is_named(
    write_volume: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_volume(tmp_path, Scan("sub-0", None, Path("raw.nii.gz")), 0)
    for cache in (None, tmp_path / "unpacked"):
        source = opened(tmp_path, cache)
        path.rename(path.with_name("elsewhere"))
        with pytest.raises(ImageError, match=path.name):
            source.volume(0)
        shutil.move(path.with_name("elsewhere"), path)
