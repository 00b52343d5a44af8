"""What a training costs: parameters, time, memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import psutil
import torch

from napari_neuropretrain.tuning.plan import Plan


@dataclass(frozen=True)
class Cost:
    """What a training cost, so that strategies can be compared.

    Parameters
    ----------
    trainable_parameters, total_parameters
        Numbers that learned, low-rank updates included, and numbers of the model.
    wall_s
        Seconds of the training, validation included; interruptions left out.
    samples_per_s
        Training volumes per second, validation left out.
    peak_memory_mib
        Largest memory in MiB: allocated on the GPU, else of the whole process.
    memory_of
        ``"gpu"`` or ``"process"``.
    """

    trainable_parameters: int
    total_parameters: int
    wall_s: float
    samples_per_s: float
    peak_memory_mib: int
    memory_of: str

    def __str__(self) -> str:
        share = self.trainable_parameters / self.total_parameters
        return (
            f"Trained {self.trainable_parameters:,} parameters ({100 * share:.3g} % of "
            f"{self.total_parameters:,}) in {self.wall_s:.0f} s: "
            f"{self.samples_per_s:.3g} volumes/s, {self.peak_memory_mib:,} MiB of "
            f"{self.memory_of} memory at most."
        )


class MeasureCost(lightning.Callback):
    """Count seconds, volumes and memory.

    Parameters
    ----------
    plan
        What learns.
    device
        Whose memory counts.
    """

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self._trainable, self._total = plan.trainable, plan.total
        self._device = device
        self._tally = {"wall_s": 0.0, "training_s": 0.0, "volumes": 0, "peak_bytes": 0}
        self._epoch_began: float | None = None
        self._validates = False
        forget_peak(device)

    def tally(self) -> dict[str, float]:
        """Return the sums so far, for `restore`."""
        if self._epoch_began is None:
            return dict(self._tally)
        spent, before = time.monotonic() - self._epoch_began, self._tally
        now = before | {"wall_s": before["wall_s"] + spent}
        if not self._validates:
            now["training_s"] = before["training_s"] + spent
        return now

    def restore(self, tally: Mapping[str, float]) -> None:
        """Go on from the sums of an interrupted training."""
        self._tally |= tally

    def leave_out(self, seconds: float) -> None:
        """Do not count so many seconds of this epoch: the training rested."""
        if self._epoch_began is not None:
            self._epoch_began += seconds

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self._epoch_began, self._validates = time.monotonic(), False

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the volumes."""
        shares = pl_module.shares
        self._tally["volumes"] += shares[batch_idx].whole if shares else len(batch[0])

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Take the time of the training alone."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._tally["training_s"] = self.tally()["training_s"]
        self._validates = True

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Take the time of the epoch and the largest memory."""
        self._tally["wall_s"] = self.tally()["wall_s"]
        self._epoch_began = None
        peak = max(self._tally["peak_bytes"], peak_bytes(self._device))
        self._tally["peak_bytes"] = peak

    def cost(self) -> Cost:
        """Return what the training cost."""
        tally = self._tally
        rate = tally["volumes"] / max(tally["training_s"], 1e-9)
        return Cost(
            trainable_parameters=self._trainable,
            total_parameters=self._total,
            wall_s=round(tally["wall_s"], 2),
            samples_per_s=float(f"{rate:.4g}"),
            peak_memory_mib=round(tally["peak_bytes"] / 2**20),
            memory_of="gpu" if self._device.type == "cuda" else "process",
        )


def forget_peak(device: torch.device) -> None:
    """Let the largest memory be counted from now on, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux, or not allowed: then from the start of the process
        return


def peak_bytes(device: torch.device) -> int:
    """Return the largest memory so far, in bytes: of the GPU, or of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage, which on Linux also counts the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows
        return int(memory.peak_wset)
    if sys.platform == "darwin":
        import resource

        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return int(memory.rss)
