"""Schedule, augmentation, loading and statistics, each against numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan, read_cohort
from napari_neuropretrain.errors import ContractError, NeuropretrainError
from napari_neuropretrain.progress import silent
from napari_neuropretrain.training.augmentations import Augmentation, shift_volume
from napari_neuropretrain.training.batches import ordered_loader, training_loader
from napari_neuropretrain.training.callbacks import ReportProgress, settle
from napari_neuropretrain.training.task_module import start_head
from napari_neuropretrain.training.volumes import VolumeDataset, load_volumes


def test_a_shift_moves_and_fills_with_zero() -> None:
    volume = torch.arange(1.0, 28.0).reshape(1, 3, 3, 3)
    moved = shift_volume(volume, [1, 0, -1])
    assert torch.equal(moved[:, 1:, :, :2], volume[:, :2, :, 1:])
    assert moved[:, 0].abs().sum() == 0
    assert moved[:, :, :, 2].abs().sum() == 0


def test_augmentation_follows_its_seed_and_keeps_the_background() -> None:
    images = torch.zeros(6, 1, 16, 16, 16)
    images[:, :, 4:9, 5:11, 5:11] = torch.randn(6, 1, 5, 6, 6)
    before = images.clone()
    once, again, other = (Augmentation(seed)(images) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(images, before)
    inside = (images != 0).sum((1, 2, 3, 4))
    assert torch.equal((once != 0).sum((1, 2, 3, 4)), inside)


def test_nothing_to_change_changes_nothing() -> None:
    images = torch.randn(3, 1, 8, 8, 8)
    still = Augmentation(0, flip_probability=0, max_shift=0, max_scale=0, max_offset=0)
    assert torch.equal(still(images), images)
    mirror = Augmentation(0, flip_probability=1, max_shift=0, max_scale=0, max_offset=0)
    assert torch.equal(mirror(images), images.flip(2))


def test_volumes_are_the_same_from_memory_and_from_disk(derivatives: Path) -> None:
    scans = read_cohort(derivatives).scans[:3]
    kept = load_volumes(scans, silent)
    left = load_volumes(scans, silent, limit_bytes=0)
    assert all(isinstance(source, Path) for source in left.sources)
    targets = torch.arange(3.0)
    for one, other in zip(
        VolumeDataset(kept.sources, targets),
        VolumeDataset(left.sources, targets),
        strict=False,
    ):
        assert one[0].shape == (1, 32, 32, 32)
        assert torch.equal(one[0], other[0])


def test_a_scan_made_otherwise_is_refused(
    tmp_path: Path, write_volume: Callable[..., Path]
) -> None:
    other = PreprocessingContract(shape=(32, 32, 32), spacing_mm=3.0)
    write_volume(tmp_path, Scan("sub-1", None, Path("x")), 0)
    write_volume(tmp_path, Scan("sub-2", None, Path("x")), 0, contract=other)
    with pytest.raises(ContractError, match=r"sub-2.*spacing_mm: 3.0, not 2.0"):
        load_volumes(read_cohort(tmp_path).scans, silent)


def test_a_damaged_volume_is_left_out(
    tmp_path: Path, write_volume: Callable[..., Path]
) -> None:
    write_volume(tmp_path, Scan("sub-1", None, Path("x")), 0)
    broken = write_volume(tmp_path, Scan("sub-2", None, Path("x")), 0)
    broken.write_bytes(broken.read_bytes()[:2000])
    volumes = load_volumes(read_cohort(tmp_path).scans, silent)
    assert [scan.key for scan in volumes.scans] == ["sub-1"]
    assert [failure.item for failure in volumes.failures] == ["sub-2"]


def test_no_training_batch_holds_a_single_volume() -> None:
    for count in range(2, 14):
        dataset = VolumeDataset(list(torch.zeros(count, 1)), torch.zeros(count))
        sizes = [len(targets) for _, targets in training_loader(dataset, 4, 0)]
        assert min(sizes) > 1, count
        assert count - sum(sizes) in (0, 1)
        assert sum(len(y) for _, y in ordered_loader(dataset, 4)) == count


def test_the_head_starts_at_the_best_constant() -> None:
    network = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1))
    start_head(network, "2", -1.25)
    assert network(torch.randn(7, 5)).flatten().tolist() == [-1.25] * 7


def test_statistics_are_measured_with_the_present_weights() -> None:
    norm = nn.BatchNorm3d(1)
    network = nn.Sequential(nn.Conv3d(1, 1, 1, bias=False), norm, nn.Dropout(0.5))
    nn.init.constant_(network[0].weight, 3.0)
    network(torch.full((2, 1, 2, 2, 2), 100.0))  # weights and volumes long gone
    network.eval()
    volumes = [(torch.full((2, 1, 2, 2, 2), value), None) for value in (2.0, 4.0)]
    settle(network, [norm], volumes, torch.device("cpu"))
    assert float(norm.running_mean) == pytest.approx(9.0)
    assert not any(part.training for part in network.modules())


def test_statistics_need_only_so_many_volumes() -> None:
    norm = nn.BatchNorm3d(1)
    volumes = ((torch.zeros(40, 1, 1, 1, 1), None) for _ in range(100))
    settle(norm, [norm], volumes, torch.device("cpu"))
    assert int(norm.num_batches_tracked) == 2


def test_a_last_volume_alone_says_nothing_of_the_statistics() -> None:
    norm = nn.BatchNorm3d(1)
    volumes = [(torch.ones(2, 1, 1, 1, 1), None), (torch.ones(1, 1, 1, 1, 1), None)]
    settle(norm, [norm], volumes, torch.device("cpu"))
    assert int(norm.num_batches_tracked) == 1


def test_a_loss_that_is_no_number_is_explained() -> None:
    reporter = ReportProgress(silent, lambda logits: ("mae", 0.0), 10)
    outputs = {"mean": torch.tensor(float("nan"))}
    module = SimpleNamespace(epoch=4)
    with pytest.raises(NeuropretrainError, match=r"nan in epoch 5.*learning_rate"):
        reporter.on_train_batch_end(None, module, outputs, None, 0)
