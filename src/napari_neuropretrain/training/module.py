"""What every training has: one network, one plan of what learns, one schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import lightning.pytorch as lightning
import torch
from torch import Tensor

from napari_neuropretrain.methods.gather import (
    RowGenerator,
    Share,
    average_processes,
)
from napari_neuropretrain.training.optimisers import OptimiserName, make_optimiser
from napari_neuropretrain.tuning.plan import Plan


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine down to 1 % of the highest rate.

    Parameters
    ----------
    learning_rate
        The highest rate.
    weight_decay
        For weights; biases and normalisation are left alone.
    warmup_steps, total_steps
        In optimiser steps.
    optimiser, momentum
        What moves the weights, see `make_optimiser`.

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
    optimiser: OptimiserName = "adamw"
    momentum: float = 0.9

    def factor(self, step: int) -> float:
        """Return the share of the highest rate at `step`, from 0 on."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        length = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / length)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


class Augment(Protocol):
    """Draws at random, in the same way whenever an epoch is run again.

    Its generator is the source of all of it.
    """

    generator: RowGenerator

    def begin(self, epoch: int) -> None:
        """Draw what belongs to this epoch."""


class LearningModule(lightning.LightningModule):
    """What `fit` needs of a training, whatever is learned.

    Epochs and steps count on where an interrupted training left off; Lightning's
    own counters start at 0 in each process.

    Parameters
    ----------
    plan
        The network, and what of it learns.
    schedule
        Learning rate and weight decay.
    augment
        What is drawn anew in each epoch, or None.
    """

    def __init__(
        self, plan: Plan, schedule: Schedule, augment: Augment | None = None
    ) -> None:
        super().__init__()
        self.plan = plan
        self.network = plan.network
        self.schedule = schedule
        self.augment = augment
        self.first_epoch = 0
        self.losses: list[Tensor] = []
        self.loss_shares: Sequence[float] = ()
        self.shares: Sequence[Share] = ()
        self.validation_shares: Sequence[Share] = ()
        self.validation_logits = torch.zeros(0)
        self.validation_loss = math.inf

    @property
    def epoch(self) -> int:
        """Epoch of the whole training, from 0 on."""
        return self.first_epoch + int(self.current_epoch)

    def begin_epoch(self, shares: Sequence[Share], accumulate: int) -> None:
        """Forget the losses of the epoch before; know the batches that come."""
        self.losses = []
        self.shares = shares
        self.loss_shares = loss_shares([one.whole for one in shares], accumulate)
        self.plan.begin(self.epoch)
        if self.augment is not None:
            self.augment.begin(self.epoch)

    def weigh(self, loss: Tensor, index: int) -> Mapping[str, Tensor]:
        """Return the loss to differentiate, and the mean loss of the batch.

        Parameters
        ----------
        loss
            Its mean over processes is that of the whole batch.
        index
            Of the batch.
        """
        share = self.loss_shares[index] if self.loss_shares else 1.0
        weighed = loss if share == 1 else loss * share
        return {"loss": weighed, "mean": average_processes(loss)}

    def random_state(self) -> dict[str, Tensor]:
        """Return the state of all that draws in the middle of an epoch."""
        state = {"torch": torch.get_rng_state()}
        if self.augment is not None:
            state["augment"] = self.augment.generator.get_state()
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def set_random_state(self, state: Mapping[str, Tensor]) -> None:
        """Draw on from a state; what it does not hold stays as it is."""
        if "torch" in state:
            torch.set_rng_state(state["torch"])
        if "augment" in state and self.augment is not None:
            self.augment.generator.set_state(state["augment"])
        if "cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def epoch_values(self) -> Mapping[str, float]:
        """Return what else is worth a curve, after each epoch."""
        return {}

    def configure_optimizers(self) -> Any:
        """Return the optimiser, with a schedule that moves at each update."""
        groups: list[dict[str, Any]] = []
        for group in self.plan.groups:
            rate = group.rate * self.schedule.learning_rate
            weights = [one for one in group.parameters if one.ndim >= 2]
            flat = [one for one in group.parameters if one.ndim < 2]
            for parameters, decay in ((weights, self.schedule.weight_decay), (flat, 0)):
                if parameters:
                    groups.append(
                        {"params": parameters, "lr": rate, "weight_decay": decay}
                    )
        how = self.schedule
        optimiser = make_optimiser(
            how.optimiser, groups, how.learning_rate, how.momentum
        )
        falling = torch.optim.lr_scheduler.LambdaLR(optimiser, self.schedule.factor)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": falling, "interval": "step"},
        }


def own_share(shares: Sequence[Share], index: int) -> Share | None:
    """Return what of a batch is for this process; None: all of it."""
    return shares[index] if shares else None


def loss_shares(sizes: Sequence[int], accumulate: int) -> list[float]:
    """Return the factor of each batch's mean loss when gradients are added up.

    With it, `accumulate` batches give the gradient of one large batch, also where
    the last ones are smaller; Lightning divides by `accumulate`.

    Examples
    --------
    >>> loss_shares([2, 2, 2], accumulate=2)
    [1.0, 1.0, 2.0]
    >>> [round(share, 3) for share in loss_shares([2, 2, 2, 1], 2)]
    [1.0, 1.0, 1.333, 0.667]
    """
    shares: list[float] = []
    for start in range(0, len(sizes), accumulate):
        together = sizes[start : start + accumulate]
        shares += [accumulate * size / sum(together) for size in together]
    return shares
