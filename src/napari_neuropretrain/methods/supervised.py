"""Supervised pre-training: learn a label that is known of everyone.

The paper pre-trains on sex; any column of the table will do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.config.options.methods import SupervisedOptions
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.gather import joint_mean
from napari_neuropretrain.methods.precision import in_float32


class Supervised(nn.Module):
    """Pre-train a backbone, with its own head, on a label.

    Parameters
    ----------
    options
        Whether the label is one of two groups or a number.
    backbone
        Built for one output.
    """

    views = 1
    smallest_batch = 1
    mean: Tensor
    deviation: Tensor

    def __init__(self, options: SupervisedOptions, backbone: nn.Module) -> None:
        super().__init__()
        self.encoder = backbone
        self.kind = options.kind
        self.classifier: nn.Linear | None = None
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    @classmethod
    def check_backbone(cls, backbone: nn.Module) -> None:
        """Accept any backbone."""

    def fit_labels(self, labels: Tensor, classes: int = 0) -> None:
        """Learn mean and deviation of the training labels (N,), or how many classes."""
        if self.kind == "classes":
            backbone: Any = self.encoder
            self.classifier = nn.Linear(backbone.feature_dim, classes)
            # The backbone's own head has one output, and no part in this.
            backbone.get_submodule(backbone.head_name).requires_grad_(False)
        if self.kind == "regression":
            deviation = labels.std(correction=0)
            self.mean.copy_(labels.mean())
            self.deviation.copy_(deviation if deviation > 0 else torch.ones(()))

    def forward(self, volumes: Tensor) -> Tensor:
        """Return the outputs (B, 1), or (B, classes), of (B, 1, X, Y, Z)."""
        if self.classifier is not None:
            encoded = self.encoder.encode(volumes)  # type: ignore[operator]
            logits: Tensor = self.classifier(encoded.features)
            return logits
        outputs: Tensor = self.encoder(volumes)
        return outputs

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss``; also the mean error of numbers, or the share of hits."""
        if batch.labels is None:
            raise ValueError("supervised pre-training needs the labels of the batch")
        outputs = self(batch.volumes[0])
        if self.kind == "classes":
            numbers = batch.labels.to(outputs.device, torch.long)
            hits = (outputs.argmax(1) == numbers).float().mean()
            loss = joint_mean(class_loss(outputs, numbers), len(outputs))
            return {"loss": loss, "accuracy": joint_mean(hits, len(outputs))}
        outputs = outputs.squeeze(1)  # (B, 1) -> (B,)
        targets = batch.labels.to(outputs.device, torch.float32)
        if self.kind == "binary":
            return {"loss": joint_mean(binary_loss(outputs, targets), len(outputs))}
        standardised = (targets - self.mean) / self.deviation
        loss = joint_mean(number_loss(outputs, standardised), len(outputs))
        return {"loss": loss, "mae": loss.detach() * self.deviation}


@in_float32
def binary_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of logits and targets (B,) of 0 and 1."""
    return functional.binary_cross_entropy_with_logits(logits, targets)


@in_float32
def class_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (B, classes) and class numbers (B,)."""
    return functional.cross_entropy(logits, targets)


@in_float32
def number_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean absolute difference of outputs and standardised targets (B,)."""
    return functional.l1_loss(outputs, targets)
