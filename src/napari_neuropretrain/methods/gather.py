"""Join a batch that is spread over processes, so that all of it is compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def gather_ranks(rows: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of their ranks.

    Each process then computes the same loss on the whole batch. Gradients flow back
    to the process that a row is from, summed over the losses; averaged over
    processes, as `DistributedDataParallel` does, they are those of one process with
    the whole batch.

    Parameters
    ----------
    rows
        (B, ...), as many on each process.

    Returns
    -------
    Tensor
        (processes * B, ...); the rows themselves where there is one process.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    if distributed.get_world_size() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()  # all_reduce writes into it
        distributed.all_reduce(total)
        first = distributed.get_rank() * ctx.count
        return total[first : first + ctx.count]
