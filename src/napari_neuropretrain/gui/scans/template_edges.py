"""Lines of the template, to be laid over an aligned scan. Seconds: use a thread."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Lines: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float64]]

BRAIN, TISSUE = 1, 2
"""Values of the outline of the brain, and of white matter and ventricles."""
FINEST_MM = 1.0
"""The lines are drawn on voxels of this size, or the grid's if that is finer."""

# The template is bright in white matter (0.85), dark in fluid (below 0.4).
_WHITE, _FLUID = 0.78, 0.48
_SHELL_VOXELS = 6
"""Fluid this close to the outline is sulci: too many lines to judge by."""

_ONE_AT_A_TIME = Lock()


def template_edges(shape: tuple[int, int, int], spacing_mm: float) -> Lines:
    """Return the template's lines in the box of a model's grid.

    Parameters
    ----------
    shape
        Voxels of the model's grid along x, y, z.
    spacing_mm
        Its isotropic voxel size in mm.

    Returns
    -------
    tuple
        uint8 (X, Y, Z), 0 where there is no line, and voxel to RAS mm (4, 4). The
        callers share it: do not write into it.
    """
    # Threads that ask at the same time wait for the first.
    with _ONE_AT_A_TIME:
        return _make(shape, spacing_mm)


@lru_cache(maxsize=2)
def _make(shape: tuple[int, int, int], spacing_mm: float) -> Lines:
    from napari_neuropretrain.data.template import load_template

    fine_mm = min(spacing_mm, FINEST_MM)
    x, y, z = (max(round(edge * spacing_mm / fine_mm), 1) for edge in shape)
    template = load_template((x, y, z), fine_mm)
    return _lines(template.data, template.brain_mask), template.affine


def _lines(data: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the rims of the brain, its white matter and its ventricles."""
    from scipy.ndimage import binary_erosion, binary_opening, gaussian_filter

    smooth = gaussian_filter(data, 0.8)
    # Beyond the edge of the grid the brain goes on: a cut is not a rim.
    inner = binary_erosion(brain, iterations=_SHELL_VOXELS, border_value=1)
    lines = np.zeros(data.shape, np.uint8)
    for region in (
        brain & (smooth > _WHITE),
        binary_opening(inner & (smooth < _FLUID)),
    ):
        lines[region & ~binary_erosion(region, border_value=1)] = TISSUE
    lines[brain & ~binary_erosion(brain, border_value=1)] = BRAIN
    return lines
