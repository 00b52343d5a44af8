"""A network that is asked again and again about one scan with a place hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from napari_neuropretrain.explanation.incremental.bags import BagNetwork
from napari_neuropretrain.explanation.incremental.bounds import Cube, tight
from napari_neuropretrain.explanation.incremental.boxes import (
    Changed,
    Corners,
    common_box,
    cut,
    paste,
)
from napari_neuropretrain.explanation.incremental.execution import Execution
from napari_neuropretrain.explanation.incremental.program import read_program

_KEPT_BYTES = 160 * 2**20
_CANNOT = (
    fx.proxy.TraceError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


class NotIncrementalError(Exception):
    """The network cannot be run in parts; the message says why."""


class IncrementalNetwork:
    """Outputs for copies of a scan that differ from it in a cube each.

    Parameters
    ----------
    network
        In evaluation mode, with `local_name`, the submodule that is run first and
        whose layers look at neighbourhoods, and `finish`, what makes outputs of
        its map.
    image
        The scan (X, Y, Z), on the device of the network.
    hidden
        The scan with everything hidden, (X, Y, Z).

    Raises
    ------
    NotIncrementalError
        If the network cannot be run in parts.
    """

    def __init__(self, network: Any, image: Tensor, hidden: Tensor) -> None:
        self._finish: Callable[[Tensor], Tensor] = network.finish
        self._image = _like(network, image[None, None])
        self._hidden = hidden[None, None]
        self._differs = (image != hidden).cpu().numpy()
        try:
            steps = read_program(network.get_submodule(network.local_name))
            self._execution = Execution(steps, self._image)
        except _CANNOT as error:
            raise NotIncrementalError(str(error)) from None

    def reference(self) -> Tensor:
        """Return the outputs of the whole scan, (1, out_features)."""
        return self._finish(self._execution.reference)

    def outputs(self, cubes: Sequence[Cube]) -> Tensor:
        """Return the outputs with each cube hidden in turn, (B, out_features)."""
        return self._finish(self._execution.run(self._changed(cubes)))

    def plan(self, cubes: Sequence[Cube]) -> tuple[list[int], int]:
        """Return an order of the cubes that brings like to like, and a batch's size.

        Boxes of a batch share one size, and those at the rim of the scan are smaller.
        """
        shares, elements = self._execution.forecast(*self._bounds(cubes))
        order = np.lexsort(shares.round(6).T)
        return order.tolist(), fitting_batch(self._image.device, 4 * elements)

    def _bounds(self, cubes: Sequence[Cube]) -> tuple[Corners, Corners]:
        bounds = np.array([tight(self._differs, cube) for cube in cubes])  # (B, 2, 3)
        return bounds[:, 0], bounds[:, 1]

    def _changed(self, cubes: Sequence[Cube]) -> Changed:
        low, high = self._bounds(cubes)
        starts, size = common_box(low, high, self._differs.shape)
        values = cut(self._image, starts, size)
        for number, (cube, start) in enumerate(zip(cubes, starts, strict=True)):
            corner = np.array([[one.start for one in cube]])
            inside = Changed(self._hidden[:, :, *cube], corner, corner, corner)
            paste(values[number : number + 1], start[None], inside)
        return Changed(values, starts, low, high)


def open_incremental(
    network: Any, image: Tensor, hidden: Tensor
) -> IncrementalNetwork | BagNetwork:
    """Return what runs a network in parts.

    Raises
    ------
    NotIncrementalError
        If it cannot be run in parts.
    """
    if hasattr(network, "see_blocks"):
        return BagNetwork(network, image, hidden)
    if hasattr(network, "local_name") and hasattr(network, "finish"):
        return IncrementalNetwork(network, image, hidden)
    raise NotIncrementalError("it does not say which part of it is local")


def fitting_batch(device: torch.device, largest: int) -> int:
    """Return how many copies are computed at once.

    Parameters
    ----------
    device
        Where they are.
    largest
        Bytes of the largest map of one copy.
    """
    if device.type == "cuda":
        # A copy holds a few maps of about that size at a time.
        free, _ = torch.cuda.mem_get_info(device)
        return int(np.clip(free // 2 // (6 * largest), 1, 128))
    # Many copies share the weights' way from memory; more than this is no faster.
    return int(np.clip(_KEPT_BYTES // largest, 1, 32))


def _like(network: nn.Module, image: Tensor) -> Tensor:
    """Give the image the memory layout of the weights."""
    last = any(
        one.ndim == 5
        and one.shape[1] > 1
        and one.is_contiguous(memory_format=torch.channels_last_3d)
        and not one.is_contiguous()
        for one in network.parameters()
    )
    layout = torch.channels_last_3d if last else torch.contiguous_format
    return image.contiguous(memory_format=layout)
