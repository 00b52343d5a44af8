"""What happens beside the training: reports, the best weights, fresh statistics."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from napari_neuropretrain.config.base import write_bytes, write_text
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.module import TaskModule
from napari_neuropretrain.weights.model_file import tensors_to_bytes

BEST_WEIGHTS, BEST_NOTES = "best.safetensors", "best.json"
STATISTICS_VOLUMES = 48
"""Volumes that batch normalisation statistics are measured on."""
_STEP_REPORT_S = 0.5

Metric = Callable[[Tensor], tuple[str, float]]
"""From the validation logits (N,) to a metric's name and value."""


class ReportProgress(lightning.Callback):
    """Report steps and epochs; a `Cancelled` from the report ends the training.

    Parameters
    ----------
    report
        Gets ``step`` events with loss and learning rate, and ``epoch`` events with
        the losses, the validation metric and the seconds that remain.
    metric
        Judges the validation logits.
    """

    def __init__(self, report: Report, metric: Metric) -> None:
        self.report = report
        self.metric = metric
        self._losses: list[float] = []
        self._began = self._last = time.monotonic()
        self._best = math.inf

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Forget the losses of the epoch before."""
        self._losses.clear()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report a step, at most every half second."""
        loss = float(outputs["loss"])
        if not math.isfinite(loss):
            raise NeuropretrainError(
                f"The loss became {loss} in epoch {trainer.current_epoch + 1}. Lower "
                "learning_rate (a tenth is a good try), or look for odd labels."
            )
        self._losses.append(loss)
        if time.monotonic() - self._last < _STEP_REPORT_S:
            return
        self._last = time.monotonic()
        total = trainer.num_training_batches * trainer.max_epochs
        values = {
            "epoch": trainer.current_epoch + 1,
            "loss": round(loss, 5),
            "learning_rate": _learning_rate(trainer),
            "eta_s": self._remaining_s(trainer.global_step / total),
        }
        self.report(Progress("step", "", trainer.global_step, total, values))

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report an epoch."""
        if trainer.sanity_checking:
            return
        module: TaskModule = pl_module
        done, total = trainer.current_epoch + 1, trainer.max_epochs
        name, value = self.metric(module.validation_logits)
        better = module.validation_loss < self._best
        self._best = min(self._best, module.validation_loss)
        loss = sum(self._losses) / max(1, len(self._losses))
        values = {
            "epoch": done,
            "loss": round(loss, 5),
            "validation_loss": round(module.validation_loss, 5),
            "metric": name,
            name: round(value, 4),
            "learning_rate": _learning_rate(trainer),
            "best": better,
            "eta_s": self._remaining_s(done / total),
        }
        message = (
            f"Epoch {done} of {total}: loss {loss:.3f}, validation loss "
            f"{module.validation_loss:.3f}, {name} {value:.3f}"
            f"{' (best so far)' if better else ''}"
        )
        self.report(Progress("epoch", message, done, total, values))

    def _remaining_s(self, share: float) -> float:
        spent = time.monotonic() - self._began
        return round(spent * (1 - share) / max(share, 1e-9), 1)


class KeepBest(lightning.Callback):
    """Write the weights of the epoch with the lowest validation loss.

    Safetensors and not a Lightning checkpoint, so that nothing has to be unpickled.

    Parameters
    ----------
    folder
        Holds ``best.safetensors`` and ``best.json``; replaced atomically.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.epoch = 0
        self.validation_loss = math.inf

    @property
    def weights(self) -> Path:
        """The file with the best weights."""
        return self.folder / BEST_WEIGHTS

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the weights if this epoch is the best so far."""
        module: TaskModule = pl_module
        if trainer.sanity_checking or not module.validation_loss < self.validation_loss:
            return
        self.epoch = trainer.current_epoch + 1
        self.validation_loss = module.validation_loss
        write_bytes(self.weights, tensors_to_bytes(module.network.state_dict()))
        notes = {"epoch": self.epoch, "validation_loss": self.validation_loss}
        write_text(self.folder / BEST_NOTES, json.dumps(notes) + "\n")


class SettleStatistics(lightning.Callback):
    """Measure batch normalisation statistics anew before each validation.

    The usual running mean mixes statistics of many earlier weights. In a small
    cohort, with few steps in an epoch and small batches, the validation then sees
    a network that no training step ever saw. Here they are measured on training
    volumes with the weights as they are (Wu and Johnson 2021, "Rethinking Batch in
    BatchNorm", arXiv 2105.07576, section 3).

    Parameters
    ----------
    loader
        Training volumes; the first `STATISTICS_VOLUMES` are used.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Run training volumes through the network, without learning."""
        module: TaskModule = pl_module
        norms = [
            part
            for part in module.network.modules()
            if isinstance(part, nn.modules.batchnorm._BatchNorm)
        ]
        if norms:
            settle(module.network, norms, self._loader, module.device)


def settle(
    network: nn.Module,
    norms: Sequence[nn.modules.batchnorm._BatchNorm],
    loader: Iterable[Any],
    device: torch.device,
) -> None:
    """Replace the running statistics of `norms` by their even mean over batches."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the even mean over batches
        norm.train()
    seen = 0
    with torch.no_grad():
        for images, _ in loader:
            network(images.to(device))
            seen += len(images)
            if seen >= STATISTICS_VOLUMES:
                break
    for norm in norms:
        norm.eval()


def _learning_rate(trainer: Any) -> float:
    return float(trainer.optimizers[0].param_groups[0]["lr"])
