"""What the training needs of a task; `napari_neuropretrain.tasks` has them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor


class Scale(Protocol):
    """Between labels in their unit and targets; both keep the shape."""

    @property
    def mean(self) -> float:
        """Label that becomes 0."""

    @property
    def sd(self) -> float:
        """Difference of labels that becomes 1."""

    def standardise(self, labels: Tensor) -> Tensor:
        """Turn labels into targets."""

    def restore(self, scores: Tensor) -> Tensor:
        """Turn targets into labels."""


class Task(Protocol):
    """A loss on one output per volume, and how to read that output."""

    kind: ClassVar[Literal["binary", "regression"]]
    unit: str
    options: Any

    def fit_scale(self, labels: Tensor) -> Scale:
        """Learn from the training labels (N,) how targets are scaled."""

    def initial_bias(self, targets: Tensor) -> float:
        """Return the output of an untrained head, given the targets (N,)."""

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of logits (B,) and targets (B,)."""

    def to_prediction(self, logits: Tensor, scale: Any) -> Tensor:
        """Return a probability or a value in the label's unit (B,)."""
