"""Several processes train together: start them, join them, let them agree."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import (
    ConfigError,
    DeviceError,
    NeuropretrainError,
)
from napari_neuropretrain.progress import Report, silent
from napari_neuropretrain.ranks import Ranks, find_ranks
from napari_neuropretrain.weights.device import find_device

_PATIENCE = timedelta(days=2)
"""How long the others wait while the first one preprocesses a cohort."""
_MEETING = timedelta(minutes=15)
"""How long they wait for each other at the start, and in a step."""
_GRACE_S = 60.0
_LAST_WORDS_S = 3.0

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Processes:
    """The processes of one training, as one of them sees them.

    Parameters
    ----------
    ranks
        Which one this is.
    device
        Where this one trains.
    words
        The group in which they exchange numbers on the CPU; None: there is one.
    """

    ranks: Ranks
    device: torch.device
    words: Any = None

    @property
    def leads(self) -> bool:
        """Whether this one reports and writes files."""
        return self.ranks.rank == 0

    def first(self, work: Callable[[], Value]) -> Value:
        """Do some work in the process that leads, then in the others."""
        done = [work()] if self.leads else []
        self.agree(())
        return done[0] if done else work()

    def only_first(self, work: Callable[[], Value]) -> Value:
        """Do some work in the process that leads; return the result to all."""
        return self.gather(work() if self.leads else None)[0]  # type: ignore[return-value]

    def agree(self, flags: Sequence[bool]) -> list[bool]:
        """Return for each flag whether any process has set it; all must call it."""
        if self.words is None:
            return list(flags)
        numbers = torch.tensor([0, *map(int, flags)])
        distributed.all_reduce(numbers, distributed.ReduceOp.MAX, group=self.words)
        return [bool(one) for one in numbers[1:].tolist()]

    def gather(self, value: Value) -> list[Value]:
        """Return the value of each process, in the order of their ranks."""
        if self.words is None:
            return [value]
        values: list[Any] = [None] * self.ranks.world
        distributed.all_gather_object(values, value, group=self.words)
        return values


def alone(device: torch.device) -> Processes:
    """Return the one process of a training on one device."""
    return Processes(Ranks(), device)


@contextmanager
def join_processes(
    job: str, config: Config, report: Report
) -> Iterator[tuple[Processes, Report]]:
    """Start the other processes of a training, if nobody has, and meet them.

    Parameters
    ----------
    job
        Name of the command.
    config
        With `device`, `devices` and `nodes`.
    report
        Of the process that leads.

    Yields
    ------
    processes, report
        The report is silent in all but the first.

    Raises
    ------
    ConfigError
        If the number of processes does not match, or the device is but one.
    DeviceError
        If a device is absent.
    """
    wanted: Any = config
    ranks = find_ranks(wanted.devices, wanted.nodes)
    device = _device(wanted.device, ranks)
    if ranks.world == 1:
        yield alone(device), report
        return
    with ExitStack() as stack:
        stack.enter_context(_variables(_meeting_place(ranks)))
        if not ranks.launcher:
            stack.enter_context(_started(job, config, ranks))
        words = stack.enter_context(_group(device))
        heard = report if ranks.rank == 0 else silent
        yield Processes(ranks, device, words), heard


def _device(name: str, ranks: Ranks) -> torch.device:
    """Return the device of this process."""
    if ranks.world == 1:
        return find_device(name)
    if name.startswith("cuda:") or name == "mps":
        raise ConfigError(
            f"devices: {ranks.world} processes cannot share the device '{name}'. Set "
            "device: cuda, and choose among GPUs with CUDA_VISIBLE_DEVICES; or "
            "devices: 1."
        )
    kind = find_device(name).type
    if kind == "mps":
        kind = "cpu"
    if kind == "cpu":
        return torch.device("cpu")
    there = torch.cuda.device_count()
    if there < ranks.devices:
        raise DeviceError(
            f"devices: {ranks.devices} GPUs are wanted on each machine, and "
            f"this process sees {there}. Lower devices. Under SLURM ask for "
            "--gpus-per-node, not for --gpus-per-task, which hides the others."
        )
    device = torch.device("cuda", ranks.local)
    torch.cuda.set_device(device)
    return device


def _meeting_place(ranks: Ranks) -> dict[str, str]:
    """Return the variables that torch reads to let the processes meet."""
    known = dict(os.environ)
    address, port = known.get("MASTER_ADDR"), known.get("MASTER_PORT")
    if ranks.launcher == "srun":
        from lightning.fabric.plugins.environments.slurm import (
            SLURMEnvironment,
        )

        slurm = SLURMEnvironment(auto_requeue=False)
        with _variables({}, ("MASTER_ADDR", "MASTER_PORT")):  # it sets them for good
            address, port = address or slurm.main_address, port or str(slurm.main_port)
    if not ranks.launcher:
        address, port = "127.0.0.1", str(_free_port())
    return {
        "MASTER_ADDR": address or "127.0.0.1",
        "MASTER_PORT": port or "29500",
        "RANK": str(ranks.rank),
        "LOCAL_RANK": str(ranks.local),
        "WORLD_SIZE": str(ranks.world),
        "NODE_RANK": str(ranks.node),
    }


@contextmanager
def _variables(values: Mapping[str, str], others: Sequence[str] = ()) -> Iterator[None]:
    """Set variables of the environment, and put back what they and others were."""
    before = {name: os.environ.get(name) for name in (*values, *others)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _started(job: str, config: Config, ranks: Ranks) -> Iterator[None]:
    """Start the other processes of this machine; none outlives the block."""
    others: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "config.yaml"
        config.to_file(settings)
        command = [sys.executable, "-m", "napari_neuropretrain", job]
        command += ["--config", str(settings)]
        try:
            for rank in range(1, ranks.world):
                own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                others.append(
                    subprocess.Popen(
                        command, env=os.environ | own, stdin=subprocess.DEVNULL
                    )
                )
            yield
            for other in others:  # they have nothing left to do
                other.wait(_GRACE_S)
        except RuntimeError as error:  # what torch makes of a lost connection
            _explain(others, config, error)
            raise
        finally:
            for other in others:
                other.kill()
                other.wait()


def _explain(
    others: Sequence[subprocess.Popen[bytes]], config: Config, error: RuntimeError
) -> None:
    """Say which process has ended before its time, if one has."""
    output = Path(getattr(config, "output"))  # noqa: B009 - both trainings have it
    for rank, other in enumerate(others, start=1):
        with suppress(subprocess.TimeoutExpired):
            if code := other.wait(_LAST_WORDS_S):
                log = output / f"run.{rank}.log"
                raise NeuropretrainError(
                    f"Process {rank} of the training ended with exit code {code}, and "
                    f"the others with it: see '{log}'. Start the same command again "
                    "to go on at the last checkpoint."
                ) from error


@contextmanager
def _group(device: torch.device) -> Iterator[Any]:
    """Meet the other processes; give the group for numbers on the CPU."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_MEETING)
    try:
        yield distributed.new_group(backend="gloo", timeout=_PATIENCE)
    finally:
        distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as open_socket:
        open_socket.bind(("127.0.0.1", 0))
        return int(open_socket.getsockname()[1])
