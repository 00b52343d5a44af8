"""What happens beside the training: the plan, fresh statistics, reports."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.batches import EpochBatches, epoch_seed
from napari_neuropretrain.training.module import LearningModule
from napari_neuropretrain.training.resume import State
from napari_neuropretrain.tuning.plan import is_frozen

STATISTICS_VOLUMES = 48
"""Volumes that batch normalisation statistics are measured on."""
_STEP_REPORT_S = 0.5

Metric = Callable[[Tensor], tuple[str, float]]
"""From the validation logits (N,) to a metric's name and value."""


class BeginEpoch(lightning.Callback):
    """Let each epoch follow from its number alone: what learns, and all that is drawn.

    Parameters
    ----------
    batches
        Of the training.
    seed
        Of all that is drawn.
    start
        The state to go on from; in the middle of an epoch it has a position.
    """

    def __init__(self, batches: EpochBatches, seed: int, start: State) -> None:
        self._batches = batches
        self._seed = seed
        self._start = start

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Apply the plan, and set the seeds or what was drawn with them."""
        module: LearningModule = pl_module
        again = module.epoch == self._start["epoch"]
        position = self._start.get("position", 0) if again else 0
        self._batches.begin(module.epoch, position)
        module.begin_epoch(self._batches.shares(), trainer.accumulate_grad_batches)
        rank = self._batches.ranks.rank
        # Dropout should differ between processes; the rest is drawn alike in all.
        stream = 2 if rank == 0 else 100 + rank
        torch.manual_seed(epoch_seed(self._seed, module.epoch, stream))
        if position:
            states = self._start["random"]
            alike = {"augment": states[0].get("augment")} if states[0] else {}
            module.set_random_state(states[rank] if rank < len(states) else alike)
            module.losses = list(self._start["losses"].to(module.device))

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Remember the loss."""
        pl_module.losses.append(outputs["mean"])

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Count batches from the beginning again; Lightning asks before the start."""
        self._batches.begin(pl_module.epoch + 1)


class ReportProgress(lightning.Callback):
    """Report steps and epochs; a `Cancelled` from the report ends the training.

    Parameters
    ----------
    report
        Gets ``step`` events with loss and learning rate, and ``epoch`` events with
        the losses, the validation metric and the seconds that remain.
    metric
        Judges the validation logits.
    epochs
        Of the whole training.
    """

    def __init__(self, report: Report, metric: Metric, epochs: int) -> None:
        self.report = report
        self.metric = metric
        self.epochs = epochs
        self.best_loss = math.inf
        self._began = self._last = time.monotonic()
        self._share_before = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self._began = time.monotonic()
        self._share_before = pl_module.first_epoch / self.epochs

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report a step, at most every half second."""
        loss: Tensor = outputs["mean"]
        waiting = time.monotonic() - self._last < _STEP_REPORT_S
        # Reading a number makes the GPU wait; on the CPU it costs nothing.
        if waiting and loss.device.type != "cpu":
            return
        _check_finite(float(loss), pl_module.epoch)
        if waiting:
            return
        self._last = time.monotonic()
        left = trainer.num_training_batches - batch_idx - 1
        batches = len(pl_module.losses) + left  # of the epoch
        done = pl_module.epoch * batches + len(pl_module.losses)
        total = batches * self.epochs
        values = {
            "epoch": pl_module.epoch + 1,
            "loss": round(float(loss), 5),
            "learning_rate": _learning_rate(trainer),
            "eta_s": self._remaining_s(done / total),
        }
        self._tell(Progress("step", "", done, total, values))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Report an epoch, once its state is kept."""
        module: LearningModule = pl_module
        done, total = module.epoch + 1, self.epochs
        name, value = self.metric(module.validation_logits)
        better = module.validation_loss < self.best_loss
        self.best_loss = min(self.best_loss, module.validation_loss)
        loss = float(torch.stack(module.losses).mean())
        _check_finite(loss, module.epoch)
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
        values |= module.epoch_values()
        message = (
            f"Epoch {done} of {total}: loss {loss:.3f}, validation loss "
            f"{module.validation_loss:.3f}, {name} {value:.3f}"
            f"{' (best so far)' if better else ''}"
        )
        self._tell(Progress("epoch", message, done, total, values))

    def _tell(self, progress: Progress) -> None:
        """Report; a pause happens there, and is not counted as time spent."""
        asked = time.monotonic()
        self.report(progress)
        self._began += time.monotonic() - asked

    def _remaining_s(self, share: float) -> float:
        spent = time.monotonic() - self._began
        return round(spent * (1 - share) / max(share - self._share_before, 1e-9), 1)


class SettleStatistics(lightning.Callback):
    """Measure batch normalisation statistics anew before each validation.

    The usual running mean mixes statistics of many earlier weights. In a small
    cohort, with few steps in an epoch and small batches, the validation then sees
    a network that no training step ever saw. Here they are measured on training
    volumes with the weights as they are (Wu and Johnson 2021, "Rethinking Batch in
    BatchNorm", arXiv 2105.07576, section 3). Frozen layers keep theirs.

    Parameters
    ----------
    loader
        Training volumes; the first `STATISTICS_VOLUMES` are used.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Run training volumes through the network, without learning."""
        module: LearningModule = pl_module
        norms = [
            part
            for part in module.network.modules()
            if isinstance(part, nn.modules.batchnorm._BatchNorm) and not is_frozen(part)
        ]
        if norms:
            with trainer.precision_plugin.forward_context():
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
            if len(images) == 1 and seen:
                break  # a last volume alone is no batch
            network(images.to(device))
            seen += len(images)
            if seen >= STATISTICS_VOLUMES:
                break
    for norm in norms:
        norm.eval()


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise NeuropretrainError(
            f"The loss became {loss} in epoch {epoch + 1}. Lower "
            "learning_rate (a tenth is a good try), look for odd labels, or, where "
            "precision is not float32, take float32."
        )


def _learning_rate(trainer: Any) -> float:
    return float(trainer.optimizers[0].param_groups[0]["lr"])
