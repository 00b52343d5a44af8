"""Between labels in their own unit and the targets a network learns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_neuropretrain.errors import CohortError


@dataclass(frozen=True)
class LabelScale:
    """Mean and standard deviation of the training labels, in the label's unit.

    Examples
    --------
    >>> scale = LabelScale(mean=60.0, sd=10.0)
    >>> scale.standardise(torch.tensor([60.0, 75.0])).tolist()
    [0.0, 1.5]
    >>> scale.restore(torch.tensor([1.5])).tolist()
    [75.0]
    """

    mean: float = 0.0
    sd: float = 1.0

    def standardise(self, labels: Tensor) -> Tensor:
        """Return z-scores of `labels`, any shape."""
        return (labels - self.mean) / self.sd

    def restore(self, scores: Tensor) -> Tensor:
        """Return z-scores in the label's unit, any shape."""
        return scores * self.sd + self.mean


def fit_scale(labels: Tensor) -> LabelScale:
    """Take mean and standard deviation of labels (N,); training labels only.

    Raises
    ------
    CohortError
        If all labels are the same, so that there is nothing to learn.
    """
    sd = float(torch.std(labels.double(), correction=0))
    if sd <= 1e-8 * max(1.0, float(labels.abs().max())):
        raise CohortError(
            f"All {labels.numel()} training labels are {float(labels[0]):g}, so there "
            "is nothing to learn. Give a cohort whose labels differ."
        )
    return LabelScale(float(labels.double().mean()), sd)
