"""Boxes of a map that differ from a reference: where they are, how they grow.

A batch of maps is kept as one reference (1, C, X, Y, Z) and a small box for each
copy, all boxes of one size. What a layer does to a map, it does to the boxes with as
much of the reference around them as it looks at: Nakandala, Kumar and Papakonstantinou
(2019), "Incremental and approximate inference for faster occlusion-based deep CNN
explanations" (Krypton).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Triple: TypeAlias = tuple[int, int, int]
Corners: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Changed:
    """The parts of B maps that differ from one reference.

    Parameters
    ----------
    values
        What stands in the boxes, (B, C, x, y, z).
    starts
        Where each box begins in its map, (B, 3).
    low, high
        What can differ lies from `low` up to but without `high`, (B, 3), inside
        the box. Boxes share one size, so most hold a rim that does not differ.
    """

    values: Tensor
    starts: Corners
    low: Corners
    high: Corners

    @property
    def size(self) -> Triple:
        """Voxels of a box along x, y and z."""
        x, y, z = self.values.shape[2:]
        return x, y, z

    def replace_values(self, values: Tensor) -> Changed:
        """Return the same places with other values."""
        return Changed(values, self.starts, self.low, self.high)


@dataclass(frozen=True)
class Reach:
    """How far a layer looks along x, y and z.

    Parameters
    ----------
    kernel
        Voxels from the first to the last that it reads, dilation included.
    stride
        Step between outputs.
    padding
        Voxels added before and after the map.
    """

    kernel: Triple
    stride: Triple
    padding: Triple

    def outputs(self, edges: Sequence[int]) -> Triple:
        """Return the edges of the output of a map with `edges`.

        Examples
        --------
        >>> Reach((7,) * 3, (2,) * 3, (3,) * 3).outputs((80, 80, 79))
        (40, 40, 40)
        """
        x, y, z = (
            (edge + 2 * pad - kernel) // step + 1
            for edge, kernel, step, pad in zip(
                edges, self.kernel, self.stride, self.padding, strict=True
            )
        )
        return x, y, z

    def grow(
        self, low: Corners, high: Corners, edges: Sequence[int]
    ) -> tuple[Corners, Corners]:
        """Return which outputs read inputs from `low` to `high`.

        Parameters
        ----------
        low, high
            Bounds (B, 3) of what differs in the input.
        edges
            Of the output.

        Examples
        --------
        >>> one = np.array([[4, 4, 4]])
        >>> Reach((3,) * 3, (1,) * 3, (1,) * 3).grow(one, one + 1, (9, 9, 5))
        (array([[3, 3, 3]]), array([[6, 6, 5]]))
        """
        kernel, stride = np.array(self.kernel), np.array(self.stride)
        padding, last = np.array(self.padding), np.array(edges) - 1
        first = (low + padding - kernel) // stride + 1
        end = (high - 1 + padding) // stride
        # Where no output reads the input, one that does not change stands for it.
        first = np.clip(first, 0, last)
        return first, np.maximum(np.minimum(end, last), first) + 1


def common_box(
    low: Corners, high: Corners, edges: Sequence[int]
) -> tuple[Corners, Triple]:
    """Return boxes of one size around `low` to `high`: their starts and the size."""
    size = (high - low).max(axis=0)
    starts = np.minimum(low, np.array(edges) - size)
    x, y, z = (int(edge) for edge in size)
    return starts, (x, y, z)


def cut(reference: Tensor, starts: Corners, size: Triple) -> Tensor:
    """Copy boxes (B, C, *size) out of a map (1, C, X, Y, Z)."""
    windows = torch.empty(
        (len(starts), reference.shape[1], *size),
        dtype=reference.dtype,
        device=reference.device,
        memory_format=layout_of(reference),
    )
    for window, (x, y, z) in zip(windows, starts.tolist(), strict=True):
        a, b, c = size
        window.copy_(reference[0, :, x : x + a, y : y + b, z : z + c])
    return windows


def paste(windows: Tensor, starts: Corners, changed: Changed) -> None:
    """Write boxes into windows that begin at `starts`, as far as both reach."""
    edges = np.array(windows.shape[2:])
    from_start = changed.starts - starts
    into = np.clip(from_start, 0, edges)
    until = np.clip(from_start + np.array(changed.size), 0, edges)
    out_of = into - from_start
    for number in range(len(windows)):
        if np.any(until[number] <= into[number]):
            continue
        target = _slices(into[number], until[number])
        source = _slices(out_of[number], out_of[number] + until[number] - into[number])
        windows[number][:, *target] = changed.values[number][:, *source]


def layout_of(tensor: Tensor) -> torch.memory_format:
    """Return whether channels are next to each other in memory."""
    last = tensor.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.channels_last_3d if last else torch.contiguous_format


def _slices(low: Corners, high: Corners) -> tuple[slice, slice, slice]:
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z
