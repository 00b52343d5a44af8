"""The Lightning module of a fine-tuning: one network, one task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from napari_neuropretrain.methods.gather import (
    gather_ranks,
    joint_mean,
)
from napari_neuropretrain.training.module import (
    Augment,
    LearningModule,
    Schedule,
    own_share,
)
from napari_neuropretrain.training.task import Task
from napari_neuropretrain.tuning.plan import Plan


class ChangeImages(Augment, Protocol):
    """Changes training batches."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return changed copies of images (B, 1, X, Y, Z)."""


class TaskModule(LearningModule):
    """Train a network for a task.

    Parameters
    ----------
    plan
        The network, from (B, 1, X, Y, Z) to (B, 1), and what of it learns.
    task
        The loss.
    schedule
        Learning rate and weight decay.
    augment
        Applied to training batches, or None.
    channels_last
        Give the network volumes in this order of memory.
    """

    def __init__(
        self,
        plan: Plan,
        task: Task,
        schedule: Schedule,
        augment: ChangeImages | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__(plan, schedule, augment)
        self.task = task
        self.change_images = augment
        self.layout = torch.channels_last_3d if channels_last else None
        self._outputs: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B,) of images (B, 1, X, Y, Z)."""
        if self.layout is not None:
            images = images.contiguous(memory_format=self.layout)
        logits: Tensor = self.network(images)
        return logits.squeeze(1).float()  # (B, 1) -> (B,)

    def training_step(
        self, batch: tuple[Tensor, Tensor], index: int
    ) -> Mapping[str, Tensor]:
        """Return the loss to differentiate, and the mean loss of the batch."""
        images, targets = batch
        if self.change_images is not None:
            self.change_images.generator.share = own_share(self.shares, index)
            images = self.change_images(images)
        loss = self.task.loss(self(images), targets)
        return self.weigh(joint_mean(loss, len(targets)), index)

    def on_validation_epoch_start(self) -> None:
        """Forget the outputs of the epoch before."""
        self._outputs.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Collect the logits of one batch, of all processes."""
        images, targets = batch
        self._outputs.append((gather_ranks(self(images)), gather_ranks(targets)))

    def on_validation_epoch_end(self) -> None:
        """Take the loss over all volumes at once, not the mean over batches."""
        logits, targets = map(torch.cat, zip(*self._outputs, strict=True))
        self.validation_logits = logits.cpu()
        self.validation_loss = float(self.task.loss(logits, targets))


def start_head(network: nn.Module, head: str, bias: float) -> None:
    """Make an untrained network answer `bias` for everyone.

    The layer that makes the outputs starts at zero weights, so training begins at
    the best constant answer and not at a random one.
    """
    layers = [
        part
        for part in network.get_submodule(head).modules()
        if isinstance(part, nn.Linear | nn.Conv3d) and part.bias is not None
    ]
    nn.init.zeros_(layers[-1].weight)
    if layers[-1].bias is not None:
        nn.init.constant_(layers[-1].bias, bias)
