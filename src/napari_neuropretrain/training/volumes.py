"""Preprocessed volumes as tensors, in memory where they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.errors import ContractError, ImageError
from napari_neuropretrain.preprocessing.derivatives import read_derivative
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.training.batches import Item

MEMORY_LIMIT_BYTES = 2 * 2**30
"""A cohort larger than this is read from disk again in each epoch."""


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


def voxels_of(source: Tensor | Path) -> NDArray[np.float32]:
    """Return a volume (X, Y, Z), from memory or from disk."""
    if isinstance(source, Path):
        return np.asarray(read_derivative(source).image, np.float32)
    found: NDArray[np.float32] = source[0].float().numpy()  # (1, X, Y, Z)
    return found


def as_tensor(image: Any) -> Tensor:
    """Return an image (X, Y, Z) as a float32 tensor (1, X, Y, Z)."""
    return torch.from_numpy(image).float()[None]
