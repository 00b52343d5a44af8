"""Which voxels of a cube hiding changes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Cube: TypeAlias = tuple[slice, slice, slice]


def tight(differs: NDArray[np.bool_], cube: Cube) -> tuple[list[int], list[int]]:
    """Return the bounds of what differs in a cube, or of its corner.

    Examples
    --------
    >>> differs = np.zeros((5, 5, 5), bool)
    >>> differs[2, 1:3, 4] = True
    >>> tight(differs, (slice(1, 4), slice(0, 4), slice(2, 5)))
    ([2, 1, 4], [3, 3, 5])
    """
    inside = differs[cube]
    low, high = [], []
    for axis in range(3):
        others = tuple({0, 1, 2} - {axis})
        places = np.flatnonzero(inside.any(axis=others))
        first, last = (places[0], places[-1]) if places.size else (0, 0)
        low.append(cube[axis].start + int(first))
        high.append(cube[axis].start + int(last) + 1)
    return low, high
