"""Batches: in parts for processes, and from a position on."""

from __future__ import annotations

import os
from itertools import chain

import pytest
import torch

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.methods.gather import RowGenerator, rand_rows
from napari_neuropretrain.ranks import Ranks, find_ranks
from napari_neuropretrain.training.batches import EpochBatches, EpochOrder, share_of
from napari_neuropretrain.training.distributed import _meeting_place


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("count", [9, 10, 13])
def test_processes_share_each_batch_in_order(world: int, count: int) -> None:
    parts = [
        list(EpochBatches(EpochOrder(count, 0), 4, Ranks(rank, world), least=2))
        for rank in range(world)
    ]
    together = [list(chain(*rows)) for rows in zip(*parts, strict=True)]
    order = list(EpochOrder(count, 0))
    assert together == [order[i : i + 4] for i in range(0, count // 4 * 4, 4)] + (
        [order[8:]] if count == 10 and world < 3 else []
    )
    assert all(chain(*parts))  # nobody is without a volume


def test_an_epoch_goes_on_from_a_position() -> None:
    batches = EpochBatches(EpochOrder(11, 3), 4)
    batches.begin(5)
    whole = list(batches)
    batches.begin(5, position=4)
    assert (list(batches), len(batches)) == (whole[1:], 2)
    batches.begin(6)
    assert len(batches) == 3


def test_small_rests_are_validated_with_the_batch_before() -> None:
    batches = [EpochBatches(range(9), 4, Ranks(r, 2), "add") for r in (0, 1)]
    assert batches[0].sizes() == [4, 5]
    assert list(batches[1])[1] == [6, 7, 8]


def test_each_process_needs_a_volume() -> None:
    with pytest.raises(ConfigError, match="batch of 2 volumes cannot be divided among"):
        EpochBatches(range(9), 2, Ranks(0, 3))


def test_rows_are_drawn_as_one_process_would() -> None:
    def draw(rank: int, world: int) -> torch.Tensor:
        generator = RowGenerator()
        generator.manual_seed(1)
        generator.share = share = share_of(5, Ranks(rank, world))
        rows = share.end - share.first
        draws = [rand_rows(rows, 7, generator=generator) for _ in range(2)]
        return torch.stack(draws, 1)

    assert torch.equal(torch.cat([draw(0, 2), draw(1, 2)]), draw(0, 1))


TORCHRUN = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
SRUN = {"SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "8"}


@pytest.mark.parametrize("environment", [TORCHRUN, SRUN], ids=["torchrun", "srun"])
def test_ranks_are_those_that_were_given(environment: dict[str, str]) -> None:
    ranks = find_ranks(4, 2, environment)
    assert (ranks.rank, ranks.world, ranks.local, ranks.node) == (5, 8, 1, 1)
    with pytest.raises(ConfigError, match="started 8 processes, but devices 2 times"):
        find_ranks(2, 1, environment)
    with pytest.raises(ConfigError, match="is number 1 on its machine"):
        find_ranks(2, 4, environment | dict.fromkeys(["RANK", "SLURM_PROCID"], "4"))


def test_ranks_that_nobody_gave() -> None:
    assert find_ranks(2, 1, {}) == Ranks(0, 2)
    # Tasks of one step can be trainings of one device each.
    assert find_ranks(1, 1, SRUN) == Ranks()
    with pytest.raises(ConfigError, match="torchrun started 8 processes"):
        find_ranks(1, 1, TORCHRUN)
    with pytest.raises(ConfigError, match="nodes: 2 machines need one process"):
        find_ranks(4, 2, {})


def test_processes_of_slurm_meet_at_its_first_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (SRUN | {"SLURM_JOB_ID": "123456"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_NODELIST", "gpu[07-08]")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    place = _meeting_place(find_ranks(4, 2))
    assert place["MASTER_ADDR"] == "gpu07"
    assert 15_000 <= int(place["MASTER_PORT"]) < 25_000
    assert (place["RANK"], place["NODE_RANK"]) == ("5", "1")
    assert not {"MASTER_ADDR", "MASTER_PORT"} & set(os.environ)
