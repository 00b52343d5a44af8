"""Run a program on one reference and on copies that differ from it in a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_neuropretrain.explanation.incremental.boxes import (
    Changed,
    Corners,
    Reach,
    common_box,
    cut,
    paste,
)
from napari_neuropretrain.explanation.incremental.layers import Step

MOST = 0.8
"""From this share of a map on, all of it is computed: boxes cost copies."""
State: TypeAlias = Changed | Tensor


class Execution:
    """A program and what it makes of the reference.

    Parameters
    ----------
    steps
        The program.
    image
        The reference's input, (1, C, X, Y, Z).
    """

    def __init__(self, steps: Sequence[Step], image: Tensor) -> None:
        self._steps = steps
        self._kept: dict[int, Tensor] = {}
        self._padded: dict[int, Tensor] = {}
        wanted = {n for step in steps if step.kind != "voxel" for n in step.inputs}
        self._shapes: list[tuple[int, ...]] = []
        maps = {0: image}
        for number, step in enumerate(steps):
            if step.kind != "input":
                maps[number] = step.run(*(maps[one] for one in step.inputs))
            self._shapes.append(tuple(maps[number].shape))
            if number in wanted:
                self._kept[number] = maps[number]
            for one in step.last_readers:
                del maps[one]
        self.reference = maps[len(steps) - 1]

    def run(self, changed: Changed) -> Tensor:
        """Return the last map of each copy, (B, ...), whose input `changed`."""
        states: dict[int, State] = {0: changed}
        for number, step in enumerate(self._steps):
            if step.kind != "input":
                states[number] = self._apply(number, step, states)
            for one in step.last_readers:
                del states[one]
        last = states[len(self._steps) - 1]
        if isinstance(last, Tensor):
            return last
        return _whole(self.reference, last)

    def forecast(self, low: Corners, high: Corners) -> tuple[NDArray[np.float64], int]:
        """Say how much of each map will be computed.

        Parameters
        ----------
        low, high
            Bounds (N, 3) of what changes in the input of N copies.

        Returns
        -------
        shares : NDArray
            Share of the edges of all maps together that changes, (N, 3).
        elements : int
            Of the largest map or box of any copy.
        """
        bounds: list[tuple[Corners, Corners]] = []
        shares, elements = np.zeros(low.shape), 0
        for number, step in enumerate(self._steps):
            edges = np.array(self._shapes[number][2:])
            bounds.append(self._grow(step, bounds, edges) if number else (low, high))
            if len(edges) != 3:
                continue
            size = bounds[-1][1] - bounds[-1][0]
            shares += size / edges
            most = min(size.prod(axis=1).max() / MOST, edges.prod())
            elements = max(elements, int(most) * self._shapes[number][1])
        return shares, elements

    def _grow(
        self, step: Step, bounds: list[tuple[Corners, Corners]], edges: Corners
    ) -> tuple[Corners, Corners]:
        lows, highs = zip(*(bounds[one] for one in step.inputs), strict=True)
        if step.kind == "whole" or len(edges) != 3:
            return np.zeros_like(lows[0]), np.zeros_like(lows[0]) + edges.max()
        if step.reach is not None:
            return step.reach.grow(lows[0], highs[0], edges.tolist())
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def _apply(self, number: int, step: Step, states: dict[int, State]) -> State:
        inputs = [states[one] for one in step.inputs]
        parts = [one for one in inputs if isinstance(one, Changed)]
        if len(parts) < len(inputs) or step.kind == "whole":
            return step.run(*self._complete(step, inputs))
        if step.kind == "voxel":
            return parts[0].replace_values(step.run(parts[0].values))
        if step.kind == "join":
            return self._join(step, parts)
        if step.reach is None or step.unpadded is None:
            raise LookupError(f"step {number} looks at neighbours, but not how far")
        return self._slide(number, step, step.reach, parts[0])

    def _complete(self, step: Step, inputs: Sequence[State]) -> list[Tensor]:
        return [
            one if isinstance(one, Tensor) else _whole(self._kept[number], one)
            for number, one in zip(step.inputs, inputs, strict=True)
        ]

    def _join(self, step: Step, parts: Sequence[Changed]) -> Changed:
        """Bring boxes to one that holds them all, then join them."""
        low = np.min([part.low for part in parts], axis=0)
        high = np.max([part.high for part in parts], axis=0)
        edges = self._kept[step.inputs[0]].shape[2:]
        starts, size = common_box(low, high, edges)
        moved = []
        for source, part in zip(step.inputs, parts, strict=True):
            if part.size == size and np.array_equal(part.starts, starts):
                moved.append(part.values)
                continue
            windows = cut(self._kept[source], starts, size)
            paste(windows, starts, part)
            moved.append(windows)
        return Changed(step.run(*moved), starts, low, high)

    def _slide(self, number: int, step: Step, reach: Reach, part: Changed) -> State:
        """Compute the outputs that look into the box."""
        source = step.inputs[0]
        edges = reach.outputs(self._kept[source].shape[2:])
        low, high = reach.grow(part.low, part.high, edges)
        starts, size = common_box(low, high, edges)
        if np.prod(size) > MOST * np.prod(edges):
            return step.run(_whole(self._kept[source], part))
        stride, padding = np.array(reach.stride), np.array(reach.padding)
        x, y, z = (np.array(size) - 1) * stride + np.array(reach.kernel)
        begin = starts * stride - padding
        windows = cut(
            self._with_padding(number, step, reach), begin + padding, (x, y, z)
        )
        paste(windows, begin, part)
        outputs = step.unpadded(windows) if step.unpadded else windows
        return Changed(outputs, starts, low, high)

    def _with_padding(self, number: int, step: Step, reach: Reach) -> Tensor:
        if number not in self._padded:
            x, y, z = reach.padding
            kept = self._kept[step.inputs[0]]
            padded = functional.pad(kept, (z, z, y, y, x, x), value=step.filler)
            if kept.is_contiguous(memory_format=torch.channels_last_3d):
                padded = padded.contiguous(memory_format=torch.channels_last_3d)
            self._padded[number] = padded
        return self._padded[number]


def _whole(reference: Tensor, changed: Changed) -> Tensor:
    """Return complete maps (B, C, X, Y, Z)."""
    starts = np.zeros_like(changed.starts)
    x, y, z = reference.shape[2:]
    maps = cut(reference, starts, (x, y, z))
    paste(maps, starts, changed)
    return maps
