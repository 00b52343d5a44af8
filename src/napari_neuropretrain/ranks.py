"""Which of the processes of one training this is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from napari_neuropretrain.errors import ConfigError

_LAUNCHERS = (
    ("torchrun", "RANK", "LOCAL_RANK", "WORLD_SIZE"),
    ("srun", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NUM_TASKS"),
)
"""Who may have started the processes, and the variables that say so."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those of one training.

    Parameters
    ----------
    rank
        From 0 on; only 0 reports and writes files.
    world
        Number of processes.
    local
        Place on this machine, from 0 on.
    nodes
        Machines; each has as many processes.
    launcher
        What started the processes; empty: the one with rank 0 starts the others.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    nodes: int = 1
    launcher: str = ""

    @property
    def devices(self) -> int:
        """Processes on each machine."""
        return self.world // self.nodes

    @property
    def node(self) -> int:
        """Which machine this is, from 0 on."""
        return self.rank // self.devices


def find_ranks(
    devices: int, nodes: int, environment: Mapping[str, str] | None = None
) -> Ranks:
    """Return which process this is, by what torchrun or SLURM's srun has set.

    Parameters
    ----------
    devices
        Processes on each machine, one a device.
    nodes
        Machines.
    environment
        Variables by name; None: those of this process.

    Raises
    ------
    ConfigError
        If more or fewer processes were started than the settings say, or several
        machines are wanted and nobody has started processes on them.

    Examples
    --------
    >>> find_ranks(1, 1, {})
    Ranks(rank=0, world=1, local=0, nodes=1, launcher='')
    >>> find_ranks(2, 1, {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"})
    Ranks(rank=1, world=2, local=1, nodes=1, launcher='torchrun')
    """
    known = os.environ if environment is None else environment
    world = devices * nodes
    for launcher, rank, local, size in _LAUNCHERS:
        started = int(known.get(size, 1))
        # A step of srun may be several trainings of one device each.
        if started == 1 or rank not in known or (world == 1 and launcher == "srun"):
            continue
        if started != world:
            raise ConfigError(
                f"devices: {launcher} started {started} processes, but devices "
                f"{devices} times nodes {nodes} is {world}. Make them equal: devices "
                "is the number on each machine."
            )
        place, here = int(known[rank]), int(known.get(local, 0))
        if place % devices != here:
            raise ConfigError(
                f"devices: process {place} is number {here} on its machine; with "
                f"devices {devices} it should be {place % devices}. Fill one machine "
                "after the other (srun --distribution=block)."
            )
        return Ranks(place, world, here, nodes, launcher)
    if nodes > 1:
        raise ConfigError(
            f"nodes: {nodes} machines need one process for each device, started by "
            "torchrun or srun (docs/servers.md). Use nodes: 1 for this machine alone."
        )
    return Ranks(0, world)
