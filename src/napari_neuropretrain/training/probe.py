"""Try some training steps, to know time and memory before a training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from napari_neuropretrain.config.estimate import (
    Estimate,
    EstimateConfig,
    PretrainEstimateConfig,
)
from napari_neuropretrain.errors import is_out_of_memory
from napari_neuropretrain.training.callbacks import STATISTICS_VOLUMES
from napari_neuropretrain.training.cost import forget_peak, peak_bytes
from napari_neuropretrain.training.memory import free_memory
from napari_neuropretrain.training.pretrain_module import PretrainModule
from napari_neuropretrain.training.speed import Precision
from napari_neuropretrain.training.task_module import TaskModule
from napari_neuropretrain.training.volumes import MEMORY_LIMIT_BYTES

_STEPS = 5
_SPREAD = 0.15
"""Time that a step may take more or less than those that were tried."""
_SHARE = 0.4
"""Share of the time after which no further step begins."""
_BYTES = 4
_MIB = 2**20


@dataclass(frozen=True)
class Tried:
    """What some steps took.

    Parameters
    ----------
    batch_size
        Volumes per step.
    step_s
        Seconds of the quickest and of the slowest step.
    look_s
        Seconds for one volume without learning.
    peak
        Bytes at most.
    """

    batch_size: int
    step_s: tuple[float, float]
    look_s: float
    peak: int


class Probe:
    """Real steps of a training on random volumes.

    Parameters
    ----------
    config
        Settings of the training.
    module
        The network, its loss and what of it learns.
    device, precision
        Where and how.
    """

    def __init__(
        self,
        config: EstimateConfig | PretrainEstimateConfig,
        module: TaskModule | PretrainModule,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self._config, self._device, self._precision = config, device, precision
        self._module, self._plan = module, module.plan

    @property
    def _world(self) -> int:
        """Processes, which divide each batch and the validation."""
        return self._config.devices * self._config.nodes

    @property
    def _wanted(self) -> int:
        """Volumes of a batch that one process has."""
        return math.ceil(self._config.batch_size / self._world)

    def steps(self, found: Estimate) -> Iterator[dict[str, Any]]:
        """Try a small batch, then the one asked for; say what is known after each.

        Parameters
        ----------
        found
            Shape of the volumes, and scans by part.

        Yields
        ------
        dict
            Fields of `Estimate`.
        """
        free, total = self._memory()
        yield {"free_mib": free // _MIB, "total_mib": total // _MIB}
        if getattr(self._config, "compile", False):
            note = "compile: tried without it; the first step then takes minutes."
            yield {"warnings": (note,)}
        forget_peak(self._device)
        began, base = time.monotonic(), peak_bytes(self._device)
        self._module.to(self._device)
        # All that ever learns: the slowest epochs of a gradual unfreezing.
        self._plan.begin(self._plan.last_start)
        if self._world > 1:
            note = f"Tried on one of {self._world} devices: what they exchange is left"
            yield {"warnings": (f"{note} out of the time.",)}
        wanted = self._wanted
        for batch_size in sorted({min(2, wanted), wanted}):
            try:
                tried = self._try(batch_size, found, began)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                # The traceback holds the tensors of the step: leave the clause first.
                tried = None
            if tried is None:
                free_memory(self._module.network)
                yield {"warnings": (self._too_large(batch_size),)}
                return
            kept = self._kept(found)
            yield self._scaled(tried, found, base, kept)
            forecast = self._forecast(tried, wanted, base) + kept
            if batch_size < wanted and forecast > free + base:
                yield {"warnings": (self._too_large(wanted),)}
                return
            if time.monotonic() - began > _SHARE * self._config.probe_seconds:
                return

    def _try(self, batch_size: int, found: Estimate, began: float) -> Tried:
        """Train on one batch a few times; the first step only warms up."""
        shape = found.shape or (0, 0, 0)
        images = torch.randn(batch_size, 1, *shape)
        targets = (torch.arange(batch_size) % 2).float()
        optimiser = self._module.configure_optimizers()["optimizer"]
        self._plan.begin(self._plan.last_start)
        if self._module.augment is not None:
            self._module.augment.begin(0)
        seconds = []
        for _ in range(_STEPS + 1):
            seconds.append(self._step(images, targets, optimiser))
            if time.monotonic() - began > _SHARE * self._config.probe_seconds:
                break
        looked = self._look(batch_size, shape)
        measured = seconds[1:] or seconds
        peak = peak_bytes(self._device)
        return Tried(batch_size, (min(measured), max(measured)), looked, peak)

    def _step(
        self, images: Tensor, targets: Tensor, optimiser: torch.optim.Optimizer
    ) -> float:
        began = time.perf_counter()
        batch = (images.to(self._device), targets.to(self._device))
        with self._autocast():
            loss = self._module.training_step(batch, 0)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        self._wait()
        return time.perf_counter() - began

    def _look(self, batch_size: int, shape: tuple[int, int, int]) -> float:
        """Return the seconds for one volume without learning.

        Batch statistics are measured on more volumes at once than a step has, and
        take longer than to use them.
        """
        kinds = nn.modules.batchnorm._BatchNorm
        normed = any(isinstance(one, kinds) for one in self._module.network.modules())
        volumes = max(8, batch_size) if normed else batch_size
        self._module.network.train(normed)
        began = time.perf_counter()
        with torch.no_grad(), self._autocast():
            self._module.network(torch.randn(volumes, 1, *shape).to(self._device))
        self._wait()
        return (time.perf_counter() - began) / volumes

    def _scaled(
        self, tried: Tried, found: Estimate, base: int, kept: int
    ) -> dict[str, Any]:
        """Scale what was tried to an epoch of the cohort."""
        wanted = self._wanted
        train, validation = (found.scans.get(p, 0) for p in ("train", "validation"))
        # Each batch takes its time, be it the last and smaller one.
        batches = math.ceil(train / self._config.batch_size)
        steps = batches * wanted / tried.batch_size
        seen = math.ceil(validation / self._world) + min(train, STATISTICS_VOLUMES)
        looks = seen * tried.look_s
        low, high = (steps * one + looks for one in tried.step_s)
        memory = self._forecast(tried, wanted, base) + kept
        return {
            "batch_size": tried.batch_size,
            "epoch_s": (low * (1 - _SPREAD), high * (1 + _SPREAD)),
            "memory_mib": memory // _MIB,
        }

    def _forecast(self, tried: Tried, wanted: int, base: int) -> int:
        """Return the bytes for another batch: only feature maps grow with it."""
        numbers = self._plan.total + 3 * self._plan.trainable
        fixed = min(tried.peak - base, _BYTES * numbers)
        maps = tried.peak - base - fixed
        return int(base + fixed + maps * wanted / tried.batch_size)

    def _kept(self, found: Estimate) -> int:
        """Return the bytes of the volumes that a training keeps in RAM."""
        volumes = sum(found.scans.values()) * math.prod(found.shape or (0,)) * _BYTES
        in_ram = self._device.type != "cuda" and volumes <= MEMORY_LIMIT_BYTES
        return volumes if in_ram else 0

    def _too_large(self, batch_size: int) -> str:
        return (
            f"A step of {batch_size} volumes needs more memory than is free on "
            f"{self._device}. The training would halve the batch by itself; lower "
            "batch_size, turn on checkpointing, or take a smaller backbone."
        )

    def _memory(self) -> tuple[int, int]:
        """Return the free and the whole memory of the device, in bytes."""
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            return int(free), int(total)
        memory = psutil.virtual_memory()
        return int(memory.available), int(memory.total)

    def _autocast(self) -> AbstractContextManager[Any]:
        kinds = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
        kind = kinds.get(self._precision)
        return torch.autocast(self._device.type, kind, enabled=kind is not None)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
