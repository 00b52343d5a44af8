"""A batch that is spread over processes: draw, compare and average all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Share:
    """Rows `first` to `end` of a batch of `whole` volumes, which one process takes."""

    first: int
    end: int
    whole: int


class RowGenerator(torch.Generator):
    """Draws for all rows of a batch that is spread over processes.

    Where `share` is set, `rand_rows` and `randint_rows` draw for the whole batch and
    keep the rows of this process: they are what one process alone would have drawn.
    """

    share: Share | None = None


def rand_rows(count: int, *shape: int, generator: torch.Generator | None) -> Tensor:
    """Return uniform numbers (count, ...) for the rows of this process, on the CPU.

    Parameters
    ----------
    count
        Rows of this process.
    shape
        Numbers for each.
    generator
        If it is a `RowGenerator` with a share, it draws for the whole batch; None:
        torch's own generator.
    """
    share = getattr(generator, "share", None) or Share(0, count, count)
    device = generator.device if generator is not None else None
    drawn = torch.rand(share.whole, *shape, generator=generator, device=device)
    return drawn[share.first : share.end].cpu()


def randint_rows(
    high: int, count: int, *shape: int, generator: torch.Generator | None
) -> Tensor:
    """Return integers (count, ...) from 0 to below `high`; see `rand_rows`."""
    share = getattr(generator, "share", None) or Share(0, count, count)
    device = generator.device if generator is not None else None
    size = (share.whole, *shape)
    drawn = torch.randint(high, size, generator=generator, device=device)
    return drawn[share.first : share.end].cpu()


def processes() -> int:
    """Return how many processes share the batch."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return distributed.get_world_size()


def joint_mean(mean: Tensor, count: Tensor | int) -> Tensor:
    """Weigh the mean of this process's part of a batch by its size.

    Averaged over processes, as `DistributedDataParallel` averages gradients, it is
    the mean over the whole batch, also where the parts differ in size.

    Parameters
    ----------
    mean
        Of this process.
    count
        What it is a mean over: volumes, or voxels.

    Returns
    -------
    Tensor
        The mean itself where there is one process.
    """
    world = processes()
    if world == 1:
        return mean
    own = torch.as_tensor(count, dtype=torch.float64, device=mean.device)
    total = own.clone()
    distributed.all_reduce(total)
    return mean * (world * own / total.clamp(min=1)).to(mean.dtype)


def average_processes(value: Tensor) -> Tensor:
    """Return the mean of a number over the processes, without gradient."""
    world = processes()
    if world == 1:
        return value.detach()
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / world


def gather_ranks(rows: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of their ranks.

    Each process then computes the same loss on the whole batch. Gradients flow back
    to the process that a row is from, summed over the losses; averaged over
    processes, as `DistributedDataParallel` does, they are those of one process with
    the whole batch.

    Parameters
    ----------
    rows
        (B, ...); B may differ between processes.

    Returns
    -------
    Tensor
        (sum of B, ...); the rows themselves where there is one process.
    """
    if processes() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        counts = _counts(rows)
        ctx.count, ctx.first = len(rows), sum(counts[: distributed.get_rank()])
        # All parts must be of one size: fill up, and cut off again.
        filled = rows.new_zeros(max(counts), *rows.shape[1:])
        filled[: len(rows)] = rows
        parts = [torch.empty_like(filled) for _ in counts]
        distributed.all_gather(parts, filled)
        return torch.cat(
            [part[:count] for part, count in zip(parts, counts, strict=True)]
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()  # all_reduce writes into it
        distributed.all_reduce(total)
        return total[ctx.first : ctx.first + ctx.count]


def _counts(rows: Tensor) -> list[int]:
    """Return the number of rows of each process."""
    own = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, own)
    return [int(count) for count in torch.cat(counts).tolist()]
