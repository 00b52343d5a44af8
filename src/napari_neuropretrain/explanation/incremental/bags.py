"""Networks that look at each block of a volume alone until their last layer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_neuropretrain.explanation.incremental.bounds import Cube, tight

_TOKENS = 16_384
"""Tokens computed at once on the CPU."""


class BagNetwork:
    """A bag of blocks such as MiNiT: only blocks that a cube touches are seen again.

    Parameters
    ----------
    network
        Has `edge` (blocks along each axis), `patch_embedding`, `see_blocks` and
        `head`; in evaluation mode.
    image, hidden
        The scan, and the scan with everything hidden, (X, Y, Z).
    """

    def __init__(self, network: Any, image: Tensor, hidden: Tensor) -> None:
        self._network = network
        self._image, self._hidden = image, hidden
        self._differs = (image != hidden).cpu().numpy()
        self._block = np.array(image.shape) // network.edge
        every = list(itertools.product(range(network.edge), repeat=3))
        blocks = torch.stack([self._cut(image, np.array(one)) for one in every])
        self._features = self._see(blocks, list(range(len(every))))  # (blocks, C)

    def reference(self) -> Tensor:
        """Return the outputs of the whole scan, (1, out_features)."""
        return self._finish(self._features[None])

    def outputs(self, cubes: Sequence[Cube]) -> Tensor:
        """Return the outputs with each cube hidden in turn, (B, out_features)."""
        copies, numbers, blocks = [], [], []
        for copy, cube in enumerate(cubes):
            for place in self._touched(cube):
                copies.append(copy)
                numbers.append(self._number(place))
                blocks.append(self._hide(np.array(place), cube))
        features = self._features.repeat(len(cubes), 1, 1)  # (B, blocks, C)
        features[copies, numbers] = self._see(torch.stack(blocks), numbers)
        return self._finish(features)

    def plan(self, cubes: Sequence[Cube]) -> tuple[list[int], int]:
        """Return the order given, and a batch's size."""
        inner = int(self._network.inner) ** 3 + 1
        most = max(len(self._touched(cube)) for cube in cubes)
        return list(range(len(cubes))), max(1, _TOKENS // (inner * most))

    def _touched(self, cube: Cube) -> list[tuple[int, ...]]:
        low, high = (np.array(one) for one in tight(self._differs, cube))
        first, last = low // self._block, (high - 1) // self._block
        ranges = (range(a, b + 1) for a, b in zip(first, last, strict=True))
        return list(itertools.product(*ranges))

    def _number(self, place: Sequence[int]) -> int:
        edge = self._network.edge
        return int((place[0] * edge + place[1]) * edge + place[2])

    def _cut(self, volume: Tensor, place: Any) -> Tensor:
        x, y, z = (
            slice(int(a), int(b))
            for a, b in zip(place * self._block, (place + 1) * self._block, strict=True)
        )
        return volume[x, y, z]

    def _hide(self, place: Any, cube: Cube) -> Tensor:
        """Return one block with what the cube covers of it hidden."""
        block = self._cut(self._image, place).clone()
        start = place * self._block
        part = tuple(
            slice(max(one.start - int(a), 0), max(one.stop - int(a), 0))
            for one, a in zip(cube, start, strict=True)
        )
        block[part] = self._cut(self._hidden, place)[part]
        return block

    def _see(self, blocks: Tensor, numbers: Sequence[int]) -> Tensor:
        tokens = self._network.patch_embedding(blocks[:, None])  # (n, C, x, y, z)
        tokens = tokens.flatten(2).transpose(1, 2)
        features: Tensor = self._network.see_blocks(tokens, list(numbers))
        return features

    def _finish(self, features: Tensor) -> Tensor:
        outputs: Tensor = self._network.head(features.flatten(1))
        return outputs
