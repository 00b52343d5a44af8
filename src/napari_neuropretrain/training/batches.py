"""Which volumes make a batch, in which order, and which process takes which of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.methods.gather import Share
from napari_neuropretrain.ranks import Ranks

Item: TypeAlias = "tuple[Tensor, Tensor]"
Loader: TypeAlias = "DataLoader[Any]"
ALONE = Ranks()


class SizedDataset(Protocol):
    """What a loader needs."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


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


@dataclass
class EpochBatches(Sampler[list[int]]):
    """Divide the volumes into batches, and each batch among the processes.

    Parameters
    ----------
    order
        Of all volumes.
    batch_size
        Volumes per step, of all processes together.
    ranks
        Which process this is.
    short
        A last batch that is too small for every process to have a volume: drop it,
        or add it to the one before.
    least
        Volumes that a last batch must have, unless it is the only one.
    position
        Volumes of the order that were seen before; see `begin`.

    Examples
    --------
    >>> batches = EpochBatches(EpochOrder(7, seed=0), 3)
    >>> batches.sizes(), len(batches)
    ([3, 3, 1], 3)
    >>> batches.begin(0, position=3)
    >>> batches.sizes()
    [3, 1]
    """

    order: EpochOrder | range
    batch_size: int
    ranks: Ranks = ALONE
    short: Literal["drop", "add"] = "drop"
    least: int = 1
    position: int = 0

    def __post_init__(self) -> None:
        if self.ranks.world > min(self.batch_size, len(self.order)):
            raise ConfigError(
                f"devices: a batch of {min(self.batch_size, len(self.order))} volumes "
                f"cannot be divided among {self.ranks.world} processes. Raise "
                "batch_size, which counts the volumes of all devices together, or "
                "validation_fraction, or take fewer devices."
            )

    def begin(self, epoch: int, position: int = 0) -> None:
        """Take the order of this epoch, from a position on."""
        self.position = position
        if isinstance(self.order, EpochOrder):
            self.order.begin(epoch)

    def sizes(self) -> list[int]:
        """Return the volumes of each batch that is to come in this epoch."""
        return batch_sizes(
            len(self.order),
            self.batch_size,
            max(self.least, self.ranks.world),
            self.short,
            self.position,
        )

    def shares(self) -> list[Share]:
        """Return what of each coming batch is for this process."""
        return [share_of(size, self.ranks) for size in self.sizes()]

    def __len__(self) -> int:
        return len(self.sizes())

    def __iter__(self) -> Iterator[list[int]]:
        indices, start = list(self.order), self.position
        for share in self.shares():
            batch = indices[start : start + share.whole]
            yield batch[share.first : share.end]
            start += share.whole


def batch_sizes(
    count: int,
    batch_size: int,
    least: int = 1,
    short: Literal["drop", "add"] = "drop",
    position: int = 0,
) -> list[int]:
    """Return the volumes of each batch from a position on.

    A last batch of fewer than `least` volumes, unless it is the only one, is
    dropped, or added to the batch before.

    Examples
    --------
    >>> batch_sizes(7, 3, least=2), batch_sizes(7, 3, least=2, short="add")
    ([3, 3], [3, 4])
    """
    full, rest = divmod(count - position, batch_size)
    sizes = [batch_size] * full
    if rest >= least or (rest and not full and not position):
        sizes.append(rest)
    elif rest and short == "add" and sizes:
        sizes[-1] += rest
    return sizes


def count_batches(count: int, batch_size: int, world: int = 1) -> int:
    """Return the training batches of an epoch.

    Examples
    --------
    >>> count_batches(9, 4), count_batches(10, 4), count_batches(10, 4, world=3)
    (2, 3, 2)
    """
    least = max(least_volumes(count, batch_size), world)
    return len(batch_sizes(count, batch_size, least))


def share_of(whole: int, ranks: Ranks) -> Share:
    """Return the rows of a batch that a process takes, about as many as the others.

    Examples
    --------
    >>> [share_of(5, Ranks(rank, 2)) for rank in (0, 1)]
    [Share(first=0, end=2, whole=5), Share(first=2, end=5, whole=5)]
    """
    first, end = (whole * (ranks.rank + one) // ranks.world for one in (0, 1))
    return Share(first, end, whole)


def least_volumes(count: int, batch_size: int) -> int:
    """Return how many volumes a last training batch needs.

    Two where batches have several: batch normalisation would see the statistics of
    one person only.
    """
    return 2 if count > batch_size > 1 else 1


def training_loader(
    dataset: SizedDataset, batch_size: int, seed: int, ranks: Ranks = ALONE
) -> Loader:
    """Shuffle anew in each epoch; its batch sampler is an `EpochBatches`.

    A last batch that is too small, see `least_volumes`, is dropped.
    """
    count = len(dataset)
    least = least_volumes(count, batch_size)
    batches = EpochBatches(EpochOrder(count, seed), batch_size, ranks, "drop", least)
    return _loader(dataset, batches, seed)


def ordered_loader(
    dataset: SizedDataset, batch_size: int, ranks: Ranks = ALONE
) -> Loader:
    """Give every volume once, in order."""
    order = range(len(dataset))
    return _loader(dataset, EpochBatches(order, batch_size, ranks, "add"), 0)


def _loader(dataset: SizedDataset, batches: EpochBatches, seed: int) -> Loader:
    return DataLoader(
        cast("Dataset[Item]", dataset),
        batch_sampler=batches,
        # Its own: the loader draws a number that would shift the global ones.
        generator=torch.Generator().manual_seed(seed),
    )
