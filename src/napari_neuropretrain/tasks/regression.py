"""Predict a number, for example the age in years."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.config.options.tasks import RegressionTaskOptions
from napari_neuropretrain.tasks.label_scale import LabelScale, fit_scale


class Regression:
    """L1 loss on labels standardised with the mean and SD of the training labels.

    Parameters
    ----------
    options
        The label column and its unit.
    """

    kind: ClassVar[Literal["binary", "regression"]] = "regression"

    def __init__(self, options: RegressionTaskOptions) -> None:
        self.options = options
        self.unit = options.unit

    def fit_scale(self, labels: Tensor) -> LabelScale:
        """Return mean and SD of the training labels (N,)."""
        return fit_scale(labels)

    def initial_bias(self, targets: Tensor) -> float:
        """Return the median of the targets (N,), which no constant beats in L1."""
        return float(targets.median())

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean absolute difference of logits (B,) and targets (B,)."""
        return functional.l1_loss(logits, targets)

    def to_prediction(self, logits: Tensor, scale: LabelScale) -> Tensor:
        """Return the predicted label (B,) in its unit."""
        return scale.restore(logits)
