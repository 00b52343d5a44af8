"""Two processes compute the loss and the gradients of one with the whole batch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed, multiprocessing, nn

from napari_neuropretrain.methods.gather import (
    average_processes,
    gather_ranks,
    joint_mean,
)
from napari_neuropretrain.methods.simclr import nt_xent

BATCH = 6


def toy() -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Linear(5, 4), torch.randn(BATCH, 5), torch.randn(BATCH, 5)


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    layer, first, second = toy()
    mine = slice(0, 2) if rank == 0 else slice(2, BATCH)  # parts of unequal size
    views = [gather_ranks(layer(one[mine])) for one in (first, second)]
    loss = nt_xent(*views, 0.1)
    loss.backward()
    for parameter in layer.parameters():
        distributed.all_reduce(parameter.grad)
        parameter.grad /= 2  # as DistributedDataParallel averages
    part = first[mine]
    mean = average_processes(joint_mean(part.mean(), part.numel()))
    if rank == 1:
        found = [loss.detach(), layer.weight.grad, mean]
        torch.save(found, Path(folder) / "done.pt")
    distributed.destroy_process_group()


def test_two_processes_are_one_with_the_whole_batch(tmp_path: Path) -> None:
    multiprocessing.spawn(work, args=(str(tmp_path),), nprocs=2)
    loss, gradient, mean = torch.load(tmp_path / "done.pt", weights_only=True)
    layer, first, second = toy()
    whole = nt_xent(layer(first), layer(second), 0.1)
    whole.backward()
    torch.testing.assert_close(loss, whole.detach())
    torch.testing.assert_close(gradient, layer.weight.grad)
    torch.testing.assert_close(mean, first.mean())


def test_one_process_keeps_its_rows() -> None:
    rows = torch.ones(2, 3)
    assert gather_ranks(rows) is rows
