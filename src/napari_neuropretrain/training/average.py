"""An average of the weights over the training, to validate and to save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from napari_neuropretrain.training.module import LearningModule


class AverageWeights(lightning.Callback):
    """Keep an exponential moving average of what learns.

    After each update, average = decay * average + (1 - decay) * weights. The decay
    starts low, (1 + n) / (10 + n) after n updates, so that the random weights of the
    beginning are soon forgotten. Each validation, and what is saved, has the averaged
    weights; statistics of batch normalisation are measured with them anew. The
    training goes on with its own.

    Parameters
    ----------
    network
        What is trained.
    decay
        Between 0, off, and 1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.updates = 0
        self._weights: list[Tensor] = []
        self._average: dict[str, Tensor] = {}
        self._own: dict[str, Tensor] = {}

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, on the CPU; empty where it is off."""
        if not self.decay:
            return {}
        average = {name: one.cpu().clone() for name, one in self._average.items()}
        return {"updates": self.updates, "average": average}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; an empty one begins anew."""
        self.updates = int(state.get("updates", 0))
        self._average = dict(state.get("average", {}))
        self._own = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin with the weights as they are, or go on on the device."""
        if self.decay:
            learning, given = _learning(pl_module), self._average
            self._weights = [one.detach() for one in learning.values()]
            self._average = {
                name: given.get(name, one.detach()).to(one.device).clone()
                for name, one in learning.items()
            }

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the weights into the average, if this step has changed them."""
        if not self.decay or not is_update(trainer, batch_idx):
            return
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        average = list(self._average.values())
        with torch.no_grad():
            mean: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            mean(average, self._weights, None)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Put the average into the network."""
        if self.decay:
            # Also buffers: statistics of batch normalisation will be measured anew.
            self._own = {
                name: one.clone() for name, one in self.network.state_dict().items()
            }
            self.network.load_state_dict(self._average, strict=False)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Give the network its own weights back."""
        if self._own:
            self.network.load_state_dict(self._own)
            self._own = {}


def is_update(trainer: Any, batch_idx: int) -> bool:
    """Whether the weights are updated after this batch of Lightning's."""
    done = batch_idx + 1
    last = bool(done == trainer.num_training_batches)
    return last or done % trainer.accumulate_grad_batches == 0


def _learning(module: LearningModule) -> dict[str, Tensor]:
    """Return by name what learns in some epoch."""
    learns = {id(one) for group in module.plan.groups for one in group.parameters}
    named = module.network.named_parameters()
    return {name: one for name, one in named if id(one) in learns}
