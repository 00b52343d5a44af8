"""Gauss-Newton fit of a nine-parameter linear transform between two volumes.

The least-squares registration of Friston et al. (Human Brain Mapping 1995,
doi:10.1002/hbm.460030303): the template is predicted as ``a * scan + b`` and the
transform moves until the residual is smallest. It is used here instead of a
general optimiser because it needs about five steps a level, no random sampling
and no threads: the same scan gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

ROTATION, TRANSLATION, LOG_SCALE = slice(0, 3), slice(3, 6), slice(6, 9)
HEAD_RADIUS_MM = 80.0
"""Turns radians and scales into mm moved at the surface of the brain."""
MAX_DAMPING = 1e3


@dataclass(frozen=True)
class Level:
    """The two volumes at one resolution.

    Parameters
    ----------
    points_mm
        Template points (N, 3) in mm from the template's centre.
    values
        Template intensities (N,) at these points.
    scan
        Scan (X, Y, Z), 0 outside the brain.
    to_voxel
        Scan mm, from the scan's centre, to voxel (4, 4).
    """

    points_mm: Array
    values: Array
    scan: Array
    to_voxel: Array


def linear_part(parameters: Array) -> Array:
    """Return rotation times scales (3, 3): the scales lie along the template's axes.

    Examples
    --------
    >>> linear_part(np.array([0, 0, 0, 5, 5, 5, 0, 0, np.log(2)])).diagonal()
    array([1., 1., 2.])
    """
    rotation = Rotation.from_rotvec(parameters[ROTATION]).as_matrix()
    return np.asarray(rotation * np.exp(parameters[LOG_SCALE]))


def fit(
    level: Level, start: Array, max_steps: int, tolerance_mm: float
) -> tuple[Array, float]:
    """Improve `start` until a step moves the brain's surface by less than a tolerance.

    Parameters
    ----------
    level
        The volumes.
    start
        Three rotations (rotation vector, rad), three translations (mm), three log
        scales, of the map from template to scan.
    max_steps, tolerance_mm
        When to stop.

    Returns
    -------
    tuple
        The parameters (9,) and 1 minus the correlation of the intensities.
    """
    parameters, damping = start, 1e-3
    cost = _cost(level, parameters)
    for _ in range(max_steps):
        normal, gradient = _normal_equations(level, parameters)
        while True:
            damped = normal + damping * np.diag(normal.diagonal() + 1e-12)
            step = np.asarray(-np.linalg.solve(damped, gradient)[:9], dtype=float)
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
    weights = np.full(9, HEAD_RADIUS_MM)
    weights[TRANSLATION] = 1.0
    return float(np.abs(step * weights).max())


def _voxels(level: Level, parameters: Array) -> Array:
    """Return where the template's points fall in the scan, in voxels (3, N)."""
    points = level.points_mm @ linear_part(parameters).T + parameters[TRANSLATION]
    return (points @ level.to_voxel[:3, :3].T + level.to_voxel[:3, 3]).T


def _cost(level: Level, parameters: Array) -> float:
    voxels = _voxels(level, parameters)
    sampled = ndimage.map_coordinates(level.scan, voxels, order=1)
    spread = sampled.std() * level.values.std()
    if spread == 0:  # the brains do not touch
        return 1.0
    centred = (sampled - sampled.mean()) * (level.values - level.values.mean())
    return float(1 - centred.mean() / spread)


def _normal_equations(level: Level, parameters: Array) -> tuple[Array, Array]:
    """Return J^T J (11, 11) and J^T r (11,) of ``r = template - a * scan - b``."""
    voxels = _voxels(level, parameters)
    sampled = ndimage.map_coordinates(level.scan, voxels, order=1)
    slopes = _slopes(level.scan, voxels) @ level.to_voxel[:3, :3]
    centred = sampled - sampled.mean()
    a = (level.values * centred).mean() / max((centred**2).mean(), 1e-12)
    residual = level.values - level.values.mean() - a * centred
    jacobian = np.empty((len(sampled), 11))
    jacobian[:, :9] = -a * _sensitivities(level.points_mm, slopes, parameters)
    jacobian[:, 9], jacobian[:, 10] = -sampled, -1.0
    # einsum and not BLAS, whose sums depend on the number of threads.
    normal = np.einsum("ni,nj->ij", jacobian, jacobian)
    return normal, np.einsum("ni,n->i", jacobian, residual)


def _slopes(scan: Array, voxels: Array) -> Array:
    """Return the slope of the scan per voxel (N, 3) by central differences."""
    slopes = np.empty((voxels.shape[1], 3))
    for axis in range(3):
        shift = np.zeros((3, 1))
        shift[axis] = 0.5
        after = ndimage.map_coordinates(scan, voxels + shift, order=1)
        before = ndimage.map_coordinates(scan, voxels - shift, order=1)
        slopes[:, axis] = after - before
    return slopes


def _sensitivities(points_mm: Array, slopes: Array, parameters: Array) -> Array:
    """Return the change of the scan's intensity per parameter (N, 9)."""
    changes = np.empty((len(points_mm), 9))
    changes[:, TRANSLATION] = slopes
    here, tiny = linear_part(parameters), 1e-6
    for index in (0, 1, 2, 6, 7, 8):
        nudged = parameters.copy()
        nudged[index] += tiny
        turned = (linear_part(nudged) - here) / tiny
        changes[:, index] = np.einsum("ni,ni->n", points_mm @ turned.T, slopes)
    return changes
