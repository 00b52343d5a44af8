"""Ask a network about a scan with one place hidden, in the fastest way it allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from napari_neuropretrain.explanation.incremental.network import (
    NotIncrementalError,
    open_incremental,
)
from napari_neuropretrain.explanation.positions import Cube

Predict: TypeAlias = Callable[[Tensor], Tensor]
"""Volumes (B, 1, X, Y, Z) to one number each (B,), in the output's units."""
TOLERANCE = 1e-4
"""Largest difference from the complete network, as a share of the output, or of 1."""
_BATCH = 4


class Hider(Protocol):
    """Answers for one scan, with any cube of it hidden."""

    def reference(self) -> Tensor:
        """Return the output for the whole scan, (1,)."""

    def outputs(self, cubes: Sequence[Cube]) -> Tensor:
        """Return the outputs with each cube hidden in turn, (B,)."""

    def plan(self, cubes: Sequence[Cube]) -> tuple[list[int], int]:
        """Return a good order of the cubes, and how many to ask about at once."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """A network and what its outputs mean.

    Parameters
    ----------
    network
        From volumes (B, 1, X, Y, Z) to outputs (B, 1), in evaluation mode.
    read
        From outputs (B,), in double precision on the CPU, to numbers in their units.
        Double, because a network that is sure of itself says 1.0 in single
        precision, whatever is hidden from it.
    """

    network: nn.Module
    read: Callable[[Tensor], Tensor]

    def __call__(self, volumes: Tensor) -> Tensor:
        """Return numbers (B,) for volumes (B, 1, X, Y, Z)."""
        return self.read_outputs(self.network(volumes))

    def read_outputs(self, outputs: Tensor) -> Tensor:
        """Return numbers (B,) for outputs (B, 1)."""
        return self.read(outputs.squeeze(1).cpu().double())


class CompleteHider:
    """Runs the whole network on every copy.

    Parameters
    ----------
    predict
        The network.
    image, hidden
        The scan, and the scan with everything hidden, (X, Y, Z).
    """

    def __init__(self, predict: Predict, image: Tensor, hidden: Tensor) -> None:
        self._predict = predict
        self._image = image
        self._hidden = hidden

    def reference(self) -> Tensor:
        """Return the output for the whole scan, (1,)."""
        return self._predict(self._image[None, None])

    def outputs(self, cubes: Sequence[Cube]) -> Tensor:
        """Return the outputs with each cube hidden in turn, (B,)."""
        # (B, X, Y, Z), made where the image is: nothing travels to the device.
        copies = self._image.repeat(len(cubes), 1, 1, 1)
        for copy, cube in zip(copies, cubes, strict=True):
            copy[cube] = self._hidden[cube]
        return self._predict(copies[:, None])

    def plan(self, cubes: Sequence[Cube]) -> tuple[list[int], int]:
        """Return the order given, and a batch that fits into the memory."""
        return list(range(len(cubes))), self._batch()

    def _batch(self) -> int:
        device = self._image.device
        if device.type != "cuda":
            return _BATCH  # more is no faster
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        self.reference()
        needed = torch.cuda.max_memory_allocated(device) - before
        free, _ = torch.cuda.mem_get_info(device)
        return int(min(max(free // 2 // max(needed, 1), 1), 128))


class IncrementalHider:
    """Computes only what a hidden cube changes.

    Parameters
    ----------
    predictor
        The network.
    image, hidden
        The scan, and the scan with everything hidden, (X, Y, Z).

    Raises
    ------
    NotIncrementalError
        If the network does not allow it.
    """

    def __init__(self, predictor: Predictor, image: Tensor, hidden: Tensor) -> None:
        self._predictor = predictor
        self._network = open_incremental(predictor.network, image, hidden)

    def reference(self) -> Tensor:
        """Return the output for the whole scan, (1,)."""
        return self._predictor.read_outputs(self._network.reference())

    def outputs(self, cubes: Sequence[Cube]) -> Tensor:
        """Return the outputs with each cube hidden in turn, (B,)."""
        return self._predictor.read_outputs(self._network.outputs(cubes))

    def plan(self, cubes: Sequence[Cube]) -> tuple[list[int], int]:
        """Return an order that brings like to like, and a batch that is quick."""
        return self._network.plan(cubes)


def open_hider(
    predict: Predict,
    image: Tensor,
    hidden: Tensor,
    example: Cube | None = None,
    fast: bool = True,
) -> tuple[Hider, str]:
    """Return the fastest hider that gives the outputs of the complete network.

    Parameters
    ----------
    predict
        A `Predictor`; any other function is asked about complete volumes.
    image, hidden
        The scan, and the scan with everything hidden, (X, Y, Z).
    example
        A cube on which both ways are compared, if there is one.
    fast
        False for complete volumes in any case.

    Returns
    -------
    hider : Hider
        The hider.
    why : str
        Why it is the slow one; empty for the fast one.
    """
    complete = CompleteHider(predict, image, hidden)
    if not fast:
        return complete, "it was asked for"
    if not isinstance(predict, Predictor):
        return complete, "the network is not known"
    try:
        hider = IncrementalHider(predict, image, hidden)
        if example is None or _agree(hider, complete, example):
            return hider, ""
        return complete, "computing it in parts gives other outputs"
    except (NotIncrementalError, RuntimeError) as error:
        return complete, f"it cannot be computed in parts: {error}"


def _agree(hider: Hider, complete: Hider, example: Cube) -> bool:
    for quick, slow in (
        (hider.reference(), complete.reference()),
        (hider.outputs([example]), complete.outputs([example])),
    ):
        limit = TOLERANCE * max(1.0, float(slow.abs().max()))
        if not float((quick - slow).abs().max()) <= limit:
            return False
    return True
