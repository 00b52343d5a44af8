"""What a tuning strategy decides: what learns, how fast, and from when on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from napari_neuropretrain.tuning.low_rank import merge_updates, plain_weights


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that learn alike.

    Parameters
    ----------
    name
        For people, such as ``"head"`` or ``"stage 2"``.
    parameters
        What learns.
    rate
        Learning rate as a share of the highest one.
    epoch
        First epoch in which they learn, from 0 on.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    rate: float = 1.0
    epoch: int = 0


class Plan:
    """A network that a strategy has prepared, and how to train it.

    The training gives all `groups` to the optimiser, calls `begin` at each epoch,
    saves `plain_weights`, and calls `finish` at the end.

    Parameters
    ----------
    network
        A backbone, perhaps with low-rank updates.
    groups
        What ever learns, the head first; the rest stays frozen.
    """

    def __init__(self, network: nn.Module, groups: Sequence[Group]) -> None:
        self.network = network
        self.groups = tuple(group for group in groups if group.parameters)
        # Before low-rank updates came in, as in the model that will be saved.
        self.total = sum(tensor.numel() for tensor in self._own_parameters())

    @property
    def trainable(self) -> int:
        """Count the numbers that learn in some epoch."""
        return sum(
            parameter.numel() for group in self.groups for parameter in group.parameters
        )

    @property
    def last_start(self) -> int:
        """Epoch, from 0 on, in which the last group starts to learn."""
        return max(group.epoch for group in self.groups)

    def begin(self, epoch: int) -> None:
        """Let learn what learns in this epoch, and put the rest into evaluation mode.

        Frozen layers are then without dropout, and the statistics of frozen
        normalisation layers stay as they are.
        """
        self.network.requires_grad_(False)
        for group in self.groups:
            for parameter in group.parameters:
                parameter.requires_grad_(group.epoch <= epoch)
        self.network.train()
        for module in self.network.modules():
            if is_frozen(module):
                module.eval()

    def plain_weights(self) -> dict[str, Tensor]:
        """Return the state of the network as its builder makes it, updates merged."""
        return plain_weights(self.network)

    def finish(self) -> None:
        """Merge what the strategy added; the network is as its builder makes it."""
        merge_updates(self.network)
        self.network.requires_grad_(True)

    def _own_parameters(self) -> list[Tensor]:
        names = {name for name, _ in self.network.named_buffers()}
        state = plain_weights(self.network)
        return [tensor for name, tensor in state.items() if name not in names]


def is_frozen(module: nn.Module) -> bool:
    """Whether a module has parameters, and none of them learns."""
    parameters = list(module.parameters())
    return bool(parameters) and not any(one.requires_grad for one in parameters)
