"""The Lightning module: one network, one task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from napari_neuropretrain.training.task import Task


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine down to 1 % of the highest rate.

    Parameters
    ----------
    learning_rate
        The highest rate.
    weight_decay
        Of AdamW, for weights; biases and normalisation are left alone.
    warmup_steps, total_steps
        In optimiser steps.

    Examples
    --------
    >>> schedule = Schedule(1e-3, 0.0, warmup_steps=2, total_steps=10)
    >>> [round(schedule.factor(step), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.505, 0.01]
    """

    learning_rate: float
    weight_decay: float
    warmup_steps: int
    total_steps: int

    def factor(self, step: int) -> float:
        """Return the share of the highest rate at `step`, from 0 on."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        length = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / length)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


class TaskModule(lightning.LightningModule):
    """Train a network for a task.

    Parameters
    ----------
    network
        From (B, 1, X, Y, Z) to (B, 1).
    task
        The loss.
    parameters
        What learns.
    schedule
        Learning rate and weight decay.
    augment
        Applied to training batches, or None.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        parameters: Sequence[nn.Parameter],
        schedule: Schedule,
        augment: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.schedule = schedule
        self.augment = augment
        self._parameters_to_tune = list(parameters)
        self._outputs: list[tuple[Tensor, Tensor]] = []
        self.validation_logits = torch.zeros(0)
        self.validation_loss = math.inf

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of one batch."""
        images, targets = batch
        if self.augment is not None:
            images = self.augment(images)
        logits = self.network(images).squeeze(1)  # (B, 1) -> (B,)
        return self.task.loss(logits, targets)

    def on_validation_epoch_start(self) -> None:
        """Forget the outputs of the epoch before."""
        self._outputs.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Collect the logits of one batch."""
        images, targets = batch
        self._outputs.append((self.network(images).squeeze(1), targets))

    def on_validation_epoch_end(self) -> None:
        """Take the loss over all volumes at once, not the mean over batches."""
        logits, targets = map(torch.cat, zip(*self._outputs, strict=True))
        loss = self.task.loss(logits, targets)
        self.validation_logits = logits.float().cpu()
        self.validation_loss = float(loss)
        self.log("validation_loss", loss)

    def configure_optimizers(self) -> Any:
        """Return AdamW with a schedule that moves at each step."""
        flat = [one for one in self._parameters_to_tune if one.ndim < 2]
        weights = [one for one in self._parameters_to_tune if one.ndim >= 2]
        groups = [
            {"params": weights, "weight_decay": self.schedule.weight_decay},
            {"params": flat, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=self.schedule.learning_rate)
        rate = torch.optim.lr_scheduler.LambdaLR(optimiser, self.schedule.factor)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": rate, "interval": "step"},
        }


def start_head(network: nn.Module, bias: float) -> None:
    """Make an untrained network answer `bias` for everyone.

    The last linear layer starts at zero weights, so training begins at the best
    constant answer and not at a random one.
    """
    heads = [part for part in network.modules() if isinstance(part, nn.Linear)]
    nn.init.zeros_(heads[-1].weight)
    nn.init.constant_(heads[-1].bias, bias)
