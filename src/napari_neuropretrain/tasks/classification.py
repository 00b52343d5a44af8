"""Tell two groups apart with one logit."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.config.options.tasks import BinaryTaskOptions
from napari_neuropretrain.tasks.label_scale import LabelScale


class BinaryClassification:
    """Binary cross-entropy on one logit; labels are 1 (positive) and 0.

    Parameters
    ----------
    options
        The label column, and which of its values are positive and negative.
    """

    kind: ClassVar[Literal["binary", "regression"]] = "binary"
    unit = "probability"

    def __init__(self, options: BinaryTaskOptions) -> None:
        self.options = options

    @property
    def names(self) -> tuple[str, str]:
        """Names of the negative and the positive group."""
        return self.options.negative[0], self.options.positive[0]

    def fit_scale(self, labels: Tensor) -> LabelScale:
        """Return the scale that changes nothing: labels are 0 and 1 already."""
        return LabelScale()

    def initial_bias(self, targets: Tensor) -> float:
        """Return the logit of the positive share of the targets (N,).

        Examples
        --------
        >>> import torch
        >>> task = BinaryClassification(BinaryTaskOptions())
        >>> round(task.initial_bias(torch.tensor([1.0, 0.0, 0.0, 0.0])), 4)
        -1.0986
        """
        share = min(max(float(targets.float().mean()), 0.01), 0.99)
        return math.log(share / (1.0 - share))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean binary cross-entropy of logits (B,) and targets (B,)."""
        return functional.binary_cross_entropy_with_logits(logits, targets)

    def to_prediction(self, logits: Tensor, scale: LabelScale) -> Tensor:
        """Return the probability (B,) of the positive group."""
        return logits.sigmoid()
