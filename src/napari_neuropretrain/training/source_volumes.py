"""Volumes of a source for a loader, made or read once where memory allows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor
from torch.utils.data import Dataset

from napari_neuropretrain.errors import ImageError
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource
from napari_neuropretrain.training.batches import Item
from napari_neuropretrain.training.volumes import MEMORY_LIMIT_BYTES


class KeptVolumes:
    """Volumes of a source, kept in memory up to a limit.

    Parameters
    ----------
    source
        Where they are from.
    report
        Hears of a volume that cannot be read any more.
    limit_bytes
        What may be kept; 0 where the source keeps volumes by itself.
    """

    def __init__(
        self,
        source: VolumeSource,
        report: Report,
        limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        self.source = source
        self.failures: dict[int, Failure] = {}
        self._report = report
        self._room = limit_bytes // (4 * math.prod(source.shape))
        self._kept: dict[int, Tensor] = {}

    def get(self, index: int) -> Tensor | None:
        """Return a volume (1, X, Y, Z), or None if it cannot be read."""
        if index in self._kept or index in self.failures:
            return self._kept.get(index)
        try:
            volume = self.source.volume(index)
        except ImageError as error:
            name = self.source.ids[index]
            self.failures[index] = Failure(name, str(error))
            self._report(Progress("item_failed", f"{name}: {error}"))
            return None
        if len(self._kept) < self._room:
            self._kept[index] = volume
        return volume


class SourceDataset(Dataset[Item]):
    """Some volumes of a source with one target each.

    A volume that cannot be read gives its place to the next one: one bad file does
    not stop a training, and the batches stay as large as they were.

    Parameters
    ----------
    volumes
        Of the whole source.
    indices
        Which of them.
    targets
        float32 (N,), in the order of `indices`.
    """

    def __init__(
        self, volumes: KeptVolumes, indices: Sequence[int], targets: Tensor
    ) -> None:
        self.volumes = volumes
        self.indices = indices
        self.targets = targets

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Item:
        count = len(self)
        for place in range(index, index + count):
            volume = self.volumes.get(self.indices[place % count])
            if volume is not None:
                return volume, self.targets[place % count]
        first = self.volumes.failures[self.indices[index]]
        raise ImageError(f"None of {count} volumes can be read: {first.reason}")

    def first(self, count: int) -> SourceDataset:
        """Return the first volumes only."""
        return SourceDataset(self.volumes, self.indices[:count], self.targets[:count])
