"""Whether a training has learned anything, by what it says of its own training part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.training.study import Study
from napari_neuropretrain.training.task import Task

LEAST_GAIN = 0.03
"""Share of a constant answer's loss that a network must have got rid of."""


@dataclass(frozen=True)
class TrainingLoss:
    """Mean loss on the training part, without augmentation.

    Parameters
    ----------
    network
        Of the trained network.
    constant
        Of the best answer that is the same for everyone.
    """

    network: float
    constant: float

    @property
    def idle(self) -> bool:
        """Whether next to nothing was learned.

        Examples
        --------
        >>> TrainingLoss(0.634, 0.637).idle, TrainingLoss(0.5, 0.637).idle
        (True, False)
        """
        return self.network > (1 - LEAST_GAIN) * self.constant


def training_loss(task: Task, study: Study, logits: Tensor) -> TrainingLoss:
    """Compare a network with a constant answer, on the training part.

    Parameters
    ----------
    task, study
        What was learned, and from whom.
    logits
        Outputs (N,) for every scan of the study.
    """
    targets = study.dataset("train").targets
    constant = torch.full_like(targets, task.initial_bias(targets))
    return TrainingLoss(
        float(task.loss(logits[study.members("train")], targets)),
        float(task.loss(constant, targets)),
    )


def say_if_idle(loss: TrainingLoss, report: Report) -> list[str]:
    """Warn of a network that has learned next to nothing; return the warning."""
    if not loss.idle:
        return []
    message = (
        "The network has learned next to nothing, and its maps mean nothing: its loss "
        f"on its own training part is {loss.network:.3f}, that of one answer for "
        f"everyone {loss.constant:.3f}. Train for longer, with as much patience, or "
        "start from initial weights."
    )
    report(Progress("warning", message))
    return [message]
