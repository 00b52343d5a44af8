"""What a training says of itself, besides steps and epochs."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.distributed import Processes
from napari_neuropretrain.training.memory import Pace
from napari_neuropretrain.training.resume import State


def say_resumed(start: State, epochs: int, folder: Path, report: Report) -> None:
    """Say where a training goes on, of how many epochs, and by which folder."""
    message = f"Going on after epoch {start['epoch']} of {epochs}"
    if step := start.get("step", 0):
        message = f"Going on in epoch {start['epoch'] + 1} of {epochs}, "
        message += f"after step {step}"
    if start["done"]:
        message = f"The training is finished already (epoch {start['epoch']})"
    report(Progress("warning", f"{message}: found in '{folder}'."))


def warn_of_norms(network: nn.Module, processes: Processes, report: Report) -> None:
    """Say that batch normalisation is not joined on CPUs."""
    kinds = nn.modules.batchnorm._BatchNorm
    normed = any(isinstance(one, kinds) for one in network.modules())
    several = processes.ranks.world > 1
    if normed and several and processes.device.type == "cpu":
        message = (
            "On CPUs each process normalises its own part of a batch: the result is "
            "not that of one process. On GPUs the statistics are of the whole batch."
        )
        report(Progress("warning", message))


def say_smaller(pace: Pace, report: Report) -> None:
    """Say that the memory is too small for a batch, and how it goes on."""
    half = pace.halved()
    report(
        Progress(
            "warning",
            f"Out of memory with {pace.batch_size} volumes per step: going on with "
            f"{half.batch_size}, and {half.accumulate} steps per update of the "
            f"weights. What was done since the last checkpoint is done again.",
            values={"batch_size": half.batch_size, "accumulate": half.accumulate},
        )
    )


def too_large(pace: Pace, world: int) -> str:
    """Say what to do where the memory of several devices is too small."""
    half = pace.halved()
    return (
        f"Out of memory: a batch of {pace.batch_size} volumes is "
        f"{-(-pace.batch_size // world)} for each of {world} devices. Give "
        f"batch_size {half.batch_size} and accumulate {half.accumulate}, turn on "
        "checkpointing, or take more devices. (Only a training on one device halves "
        "the batch by itself.)"
    )
