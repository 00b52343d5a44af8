"""Where a cube is hidden, and what its effects make of a voxel."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Cube: TypeAlias = tuple[slice, slice, slice]
Combination: TypeAlias = Literal["mean", "strongest"]
"""A voxel gets the mean effect of the cubes that cover it, or the one furthest
from 0."""


@dataclass(frozen=True, eq=False)
class Positions:
    """All places of a cube in a volume, edges included.

    Parameters
    ----------
    shape
        Voxels of the volume along x, y and z.
    patch
        Edge of the cube, in voxels.
    stride
        Step between places, in voxels.
    """

    shape: tuple[int, int, int]
    patch: int
    stride: int

    @property
    def axes(self) -> tuple[list[int], list[int], list[int]]:
        """Where cubes begin along x, y and z."""
        x, y, z = (starts(edge, self.patch, self.stride) for edge in self.shape)
        return x, y, z

    @property
    def grid(self) -> tuple[int, int, int]:
        """Places along x, y and z."""
        x, y, z = (len(axis) for axis in self.axes)
        return x, y, z

    def cubes(self) -> Iterator[Cube]:
        """Yield every cube, in the order of `grid`."""
        edge = self.patch
        for x, y, z in itertools.product(*self.axes):
            yield slice(x, x + edge), slice(y, y + edge), slice(z, z + edge)


@dataclass(frozen=True, eq=False)
class Places:
    """All cubes in a scan, and which of them matter.

    Parameters
    ----------
    positions
        Where they are.
    cubes
        The same as slices, N of them.
    reaching
        Which of them reach the brain, boolean (N,).
    changing
        Which of them change a voxel when hidden, boolean (N,).
    inside
        The brain, boolean (X, Y, Z).
    """

    positions: Positions
    cubes: list[Cube]
    reaching: NDArray[np.bool_]
    changing: NDArray[np.bool_]
    inside: NDArray[np.bool_]

    @classmethod
    def of(
        cls, image: Tensor, hidden: Tensor, brain: Tensor, patch: int, stride: int
    ) -> Places:
        """Find them in a scan, and in the scan with everything hidden."""
        x, y, z = image.shape
        positions = Positions((x, y, z), patch, stride)
        cubes = list(positions.cubes())
        inside = brain.cpu().numpy()
        # Asked of the images and not of the mask: where the scan already has the
        # baseline's value, hiding changes nothing either.
        changed = (hidden != image).cpu().numpy()
        reaching = np.array([inside[cube].any() for cube in cubes])
        changing = np.array([changed[cube].any() for cube in cubes])
        return cls(positions, cubes, reaching, changing, inside)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over each cube, (N,)."""
        return np.array([values[cube].sum() for cube in self.cubes])


def starts(length: int, patch: int, stride: int) -> list[int]:
    """Return where cubes begin along one axis; the last one ends at the edge.

    Examples
    --------
    >>> starts(10, patch=4, stride=3)
    [0, 3, 6]
    >>> starts(11, patch=4, stride=3)
    [0, 3, 6, 7]
    >>> starts(3, patch=4, stride=3)
    [0]
    """
    last = max(length - patch, 0)
    regular = list(range(0, last + 1, stride))
    return regular if regular[-1] == last else [*regular, last]


def combine(
    effects: NDArray[np.float64],
    cubes: Sequence[Cube],
    inside: NDArray[np.bool_],
    rule: Combination = "mean",
) -> NDArray[np.float32]:
    """Give each voxel of the brain what its cubes say together.

    Parameters
    ----------
    effects
        One for each cube, (N,); NaN where it is not known, which counts as no cube.
    cubes
        The places.
    inside
        The brain, (X, Y, Z); 0 outside.
    rule
        See `Combination`.
    """
    known = [
        (effect, cube)
        for effect, cube in zip(effects, cubes, strict=True)
        if not np.isnan(effect)
    ]
    total, count = np.zeros(inside.shape), np.zeros(inside.shape)
    for effect, cube in known:
        if rule == "mean":
            total[cube] += effect
            count[cube] += 1
        else:
            part = total[cube]
            np.copyto(part, effect, where=abs(effect) > np.abs(part))
            count[cube] = 1
    covered = inside & (count > 0)
    mean = np.divide(total, count, out=np.zeros(inside.shape), where=covered)
    return mean.astype(np.float32)
