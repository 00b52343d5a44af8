"""The Lightning module of a pre-training, and what is drawn for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from napari_neuropretrain.methods.batch import Method, PretrainBatch
from napari_neuropretrain.methods.gather import (
    RowGenerator,
    average_processes,
    gather_ranks,
)
from napari_neuropretrain.training.batches import epoch_seed
from napari_neuropretrain.training.collapse import feature_spread
from napari_neuropretrain.training.module import LearningModule, Schedule, own_share
from napari_neuropretrain.training.online_probe import OnlineProbe
from napari_neuropretrain.training.views import Views
from napari_neuropretrain.tuning.plan import Plan


class DrawBatch:
    """Make a `PretrainBatch` of volumes; what is drawn follows from the epoch.

    Parameters
    ----------
    views
        Changes volumes; None: they stay plain.
    count
        Views of each volume.
    labelled
        Whether the labels mean anything.
    seed, stream
        Of the generator, see `epoch_seed`.
    """

    def __init__(
        self, views: Views | None, count: int, labelled: bool, seed: int, stream: int
    ) -> None:
        self.views = views
        self.count = count
        self.labelled = labelled
        self.seed = seed
        self.stream = stream
        self.generator = RowGenerator()
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Draw what belongs to this epoch, whatever was drawn before."""
        self.generator.manual_seed(epoch_seed(self.seed, epoch, self.stream))

    def __call__(self, volumes: Tensor, labels: Tensor) -> PretrainBatch:
        """Return the batch of volumes (B, 1, X, Y, Z) and labels (B,)."""
        seen: tuple[Tensor, ...] = (volumes,)
        if self.views is not None:
            seen = tuple(self.views(volumes, self.generator) for _ in range(self.count))
        given = labels if self.labelled else None
        return PretrainBatch(seen, given, volumes != 0, self.generator)


class PretrainModule(LearningModule):
    """Pre-train a backbone by a method.

    Parameters
    ----------
    plan
        Of the method, a network that holds the backbone.
    schedule
        Learning rate and weight decay.
    train, validation
        Draw views; those of the validation are the same in each epoch, so that its
        losses can be compared.
    probe
        Reads labels from the features; None: nothing does.
    epochs
        Of the whole training.
    """

    def __init__(
        self,
        plan: Plan,
        schedule: Schedule,
        train: DrawBatch,
        validation: DrawBatch,
        probe: OnlineProbe | None = None,
        epochs: int = 0,
    ) -> None:
        super().__init__(plan, schedule, train)
        self.train_draws = train
        self.validation_draws = validation
        self.probe = probe
        self.epochs = epochs
        self._parts: list[tuple[int, dict[str, Tensor]]] = []
        self._features: list[Tensor] = []
        self._values: dict[str, float] = {}

    @property
    def method(self) -> Method:
        """The network that is trained."""
        return cast(Method, self.network)

    def training_step(
        self, batch: tuple[Tensor, Tensor], index: int
    ) -> Mapping[str, Tensor]:
        """Return the loss to differentiate, and the mean loss of the batch."""
        self.train_draws.generator.share = own_share(self.shares, index)
        return self.weigh(self.method.loss(self.train_draws(*batch))["loss"], index)

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before, and draw the same views again."""
        self._parts.clear()
        self._features.clear()
        self.validation_draws.begin(0)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Collect the parts of the loss, and features of the plain volumes."""
        volumes, draws = batch[0], self.validation_draws
        draws.generator.share = own_share(self.validation_shares, index)
        parts = self.method.loss(draws(*batch))
        encoder: nn.Module = self.method.encoder
        encoded = encoder.encode(volumes)  # type: ignore[operator]
        features = gather_ranks(encoded.features.float())
        averaged = {name: average_processes(part) for name, part in parts.items()}
        self._parts.append((len(features), averaged))
        self._features.append(features.cpu())

    def on_validation_epoch_end(self) -> None:
        """Average over volumes."""
        total = sum(count for count, _ in self._parts)
        means = {
            name: sum(count * float(parts[name]) for count, parts in self._parts)
            / total
            for name in self._parts[0][1]
        }
        self.validation_loss = means.pop("loss")
        self.validation_logits = torch.cat(self._features)
        self._values = {f"validation_{name}": one for name, one in means.items()}
        self._values["feature_spread"] = feature_spread(self.validation_logits)
        if self.probe is not None and self.probe.due(self.epoch, self.epochs):
            self._values |= self.probe.read(self.method.encoder, self.validation_logits)

    def epoch_values(self) -> Mapping[str, float]:
        """Return parts of the validation loss, spread of the features, and probes."""
        return {name: round(value, 5) for name, value in self._values.items()}
