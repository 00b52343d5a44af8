"""Preprocessed volumes as tensors, in memory where they fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.errors import ContractError, ImageError
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Failure, Progress, Report

MEMORY_LIMIT_BYTES = 2 * 2**30
"""A cohort larger than this is read from disk again in each epoch."""

Item: TypeAlias = "tuple[Tensor, Tensor]"
Loader: TypeAlias = "DataLoader[Any]"


@dataclass(frozen=True, eq=False)
class Volumes:
    """The usable scans of a cohort.

    Parameters
    ----------
    scans
        In the cohort's order.
    sources
        For each scan its tensor (1, X, Y, Z), or its path where the cohort is too
        large for memory.
    contract
        How all of them were preprocessed.
    failures
        Scans that could not be read.
    """

    scans: tuple[Scan, ...]
    sources: tuple[Tensor | Path, ...]
    contract: PreprocessingContract
    failures: tuple[Failure, ...]


def load_volumes(
    scans: Sequence[Scan], report: Report, limit_bytes: int = MEMORY_LIMIT_BYTES
) -> Volumes:
    """Read preprocessed scans and check that all were preprocessed alike.

    Raises
    ------
    ContractError
        If two scans were preprocessed differently.
    ImageError
        If none can be read.
    """
    kept: list[Scan] = []
    sources: list[Tensor | Path] = []
    failures: list[Failure] = []
    contract: PreprocessingContract | None = None
    for index, scan in enumerate(scans):
        report(Progress("step", "" if index else "Reading volumes", index, len(scans)))
        try:
            derivative = read_derivative(scan.path)
        except ImageError as error:
            failures.append(Failure(scan.key, str(error)))
            report(Progress("item_failed", f"{scan.key}: {error}"))
            continue
        contract = contract or derivative.contract
        _check_alike(scan, derivative.contract, kept, contract)
        fits = 4 * math.prod(contract.shape) * len(scans) <= limit_bytes
        kept.append(scan)
        sources.append(as_tensor(derivative.image) if fits else scan.path)
    if contract is None:
        reasons = "; ".join(f"{one.item}: {one.reason}" for one in failures[:3])
        raise ImageError(f"None of the {len(scans)} volumes can be read: {reasons}")
    return Volumes(tuple(kept), tuple(sources), contract, tuple(failures))


def _check_alike(
    scan: Scan,
    given: PreprocessingContract,
    kept: Sequence[Scan],
    contract: PreprocessingContract,
) -> None:
    differences = given.differences(contract)
    if differences:
        raise ContractError(
            f"'{scan.path}' was preprocessed differently from '{kept[0].path}': "
            f"{'; '.join(differences)}. Preprocess the whole cohort with the same "
            "settings (neuropretrain preprocess --overwrite)."
        )


class VolumeDataset(Dataset[Item]):
    """Volumes (1, X, Y, Z) with one target each.

    Parameters
    ----------
    sources
        Tensors, or paths of preprocessed images.
    targets
        float32 (N,).
    """

    def __init__(self, sources: Sequence[Tensor | Path], targets: Tensor) -> None:
        self.sources = sources
        self.targets = targets

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Item:
        source = self.sources[index]
        if isinstance(source, Path):
            source = as_tensor(read_derivative(source).image)
        return source, self.targets[index]


def as_tensor(image: Any) -> Tensor:
    """Return an image (X, Y, Z) as a float32 tensor (1, X, Y, Z)."""
    return torch.from_numpy(image).float()[None]


class SizedDataset(Protocol):
    """What a loader needs."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


class EpochOrder(Sampler[int]):
    """Shuffle in an order that follows from seed and epoch alone.

    An epoch that is run again, after an interruption, sees the same batches.

    Examples
    --------
    >>> order = EpochOrder(5, seed=0)
    >>> order.begin(3)
    >>> list(order) == list(order), sorted(order)
    (True, [0, 1, 2, 3, 4])
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.epoch = 0

    def begin(self, epoch: int) -> None:
        """Take the order of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch, 0))
        yield from torch.randperm(self.count, generator=generator).tolist()


def epoch_seed(seed: int, epoch: int, stream: int) -> int:
    """Return a seed for what is random in an epoch.

    Parameters
    ----------
    seed
        Of the training.
    epoch
        From 0 on.
    stream
        0 for the order, 1 for the augmentation, 2 for the network: unrelated draws.

    Examples
    --------
    >>> len({epoch_seed(0, epoch, 1) for epoch in (3, 3, 4)})
    2
    """
    return int(np.random.SeedSequence((seed, epoch, stream)).generate_state(1)[0])


def training_loader(dataset: SizedDataset, batch_size: int, seed: int) -> Loader:
    """Shuffle anew in each epoch; its sampler is an `EpochOrder`.

    A last batch of a single volume is dropped: batch normalisation would see the
    statistics of one person only.
    """
    lone = len(dataset) > batch_size > 1 and len(dataset) % batch_size == 1
    return DataLoader(
        cast("Dataset[Item]", dataset),
        batch_size=batch_size,
        sampler=EpochOrder(len(dataset), seed),
        drop_last=lone,
        # Its own: the loader draws a number that would shift the global ones.
        generator=torch.Generator().manual_seed(seed),
    )


def ordered_loader(dataset: SizedDataset, batch_size: int) -> Loader:
    """Give every volume once, in order."""
    return DataLoader(cast("Dataset[Item]", dataset), batch_size=batch_size)
