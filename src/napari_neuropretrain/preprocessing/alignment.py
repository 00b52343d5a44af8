"""Gauss-Newton fit of a linear transform between two volumes.

The least-squares registration of Friston et al. (Human Brain Mapping 1995,
doi:10.1002/hbm.460030303): the template is predicted as ``a * scan + b`` and the
transform moves until the residual is smallest. It is used here instead of a
general optimiser because it needs about five steps a level, no random sampling
and no threads: the same scan gives the same bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_neuropretrain.preprocessing.linear_model import (
    FREE_DIRECTIONS,
    PARAMETERS,
    TRANSLATION,
    Array,
    linear_part,
)
from napari_neuropretrain.preprocessing.pyramid import Level

HEAD_RADIUS_MM = 80.0
"""Turns radians, scales and shears into mm moved at the surface of the brain."""
MAX_DAMPING = 1e3
MIN_SEEN = 0.3
"""A fit that pushes most of the template out of the field of view is none."""


def fit(
    level: Level, start: Array, dof: int, max_steps: int, tolerance_mm: float
) -> tuple[Array, float]:
    """Improve `start` until a step moves the brain's surface by less than a tolerance.

    Parameters
    ----------
    level
        The volumes.
    start
        Parameters (12,) of the map from template to scan; see `linear_model`.
    dof
        Degrees of freedom, a key of `FREE_DIRECTIONS`.
    max_steps, tolerance_mm
        When to stop.

    Returns
    -------
    tuple
        The parameters (12,) and 1 minus the correlation of the intensities.
    """
    parameters, damping, free = start, 1e-3, FREE_DIRECTIONS[dof]
    cost = _cost(level, parameters)
    for _ in range(max_steps):
        normal, gradient = _normal_equations(level, parameters, free)
        while True:
            damped = normal + damping * np.diag(normal.diagonal() + 1e-12)
            step = np.asarray(-free @ np.linalg.solve(damped, gradient)[:dof])
            new_cost = _cost(level, parameters + step)
            if new_cost < cost:
                break
            damping *= 10
            if damping > MAX_DAMPING:
                return parameters, cost
        parameters, cost, damping = parameters + step, new_cost, damping / 10
        if _moved_mm(step) < tolerance_mm:
            break
    return parameters, cost


def _moved_mm(step: Array) -> float:
    weights = np.full(PARAMETERS, HEAD_RADIUS_MM)
    weights[TRANSLATION] = 1.0
    return float(np.abs(step * weights).max())


def _voxels(level: Level, parameters: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return where points fall in the scan, in voxels (3, M), and which (N,) do."""
    points = level.points_mm @ linear_part(parameters).T + parameters[TRANSLATION]
    voxels = (points @ level.to_voxel[:3, :3].T + level.to_voxel[:3, 3]).T
    seen = np.ones(len(points), dtype=bool)
    for axis, (low, high) in enumerate(level.cut):
        if low:
            seen &= voxels[axis] >= 0
        if high:
            seen &= voxels[axis] <= level.scan.shape[axis] - 1
    return voxels[:, seen], seen


def _sample(scan: Array, voxels: Array) -> Array:
    # The uncut faces are empty, so that the nearest voxel is right beyond them.
    return np.asarray(ndimage.map_coordinates(scan, voxels, order=1, mode="nearest"))


def _cost(level: Level, parameters: Array) -> float:
    voxels, seen = _voxels(level, parameters)
    if seen.mean() < MIN_SEEN:
        return 1.0
    sampled, values = _sample(level.scan, voxels), level.values[seen]
    spread = sampled.std() * values.std()
    if spread == 0:  # the brains do not touch
        return 1.0
    centred = (sampled - sampled.mean()) * (values - values.mean())
    return float(1 - centred.mean() / spread)


def _normal_equations(
    level: Level, parameters: Array, free: Array
) -> tuple[Array, Array]:
    """Return J^T J and J^T r of ``r = template - a * scan - b``.

    The unknowns are the free directions, then a and b: dof + 2.
    """
    voxels, seen = _voxels(level, parameters)
    sampled, values = _sample(level.scan, voxels), level.values[seen]
    slopes = _slopes(level.scan, voxels) @ level.to_voxel[:3, :3]
    centred = sampled - sampled.mean()
    a = (values * centred).mean() / max((centred**2).mean(), 1e-12)
    residual = values - values.mean() - a * centred
    changes = _sensitivities(level.points_mm[seen], slopes, parameters, free)
    jacobian = np.column_stack([-a * changes, -sampled, -np.ones(len(sampled))])
    # einsum and not BLAS, whose sums depend on the number of threads.
    normal = np.einsum("ni,nj->ij", jacobian, jacobian)
    return normal, np.einsum("ni,n->i", jacobian, residual)


def _slopes(scan: Array, voxels: Array) -> Array:
    """Return the slope of the scan per voxel (N, 3) by central differences."""
    slopes = np.empty((voxels.shape[1], 3))
    for axis in range(3):
        shift = np.zeros((3, 1))
        shift[axis] = 0.5
        slopes[:, axis] = _sample(scan, voxels + shift) - _sample(scan, voxels - shift)
    return slopes


def _sensitivities(
    points_mm: Array, slopes: Array, parameters: Array, free: Array
) -> Array:
    """Return the change of the scan's intensity per free direction (N, dof)."""
    changes = np.empty((len(points_mm), free.shape[1]))
    here, tiny = linear_part(parameters), 1e-6
    for index, direction in enumerate(free.T):
        turned = (linear_part(parameters + tiny * direction) - here) / tiny
        moved = points_mm @ turned.T + direction[TRANSLATION]
        changes[:, index] = np.einsum("ni,ni->n", moved, slopes)
    return changes
