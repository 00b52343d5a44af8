"""Which linear maps a registration may use: 6, 7, 9 or 12 degrees of freedom.

One map has twelve parameters: three rotations (rotation vector, rad), three
translations (mm), three log scales, three shears. A model with fewer degrees of
freedom lets the parameters move in fewer directions; nothing else differs.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array: TypeAlias = NDArray[np.float64]

ROTATION, TRANSLATION = slice(0, 3), slice(3, 6)
LOG_SCALE, SHEAR = slice(6, 9), slice(9, 12)
PARAMETERS = 12

_EACH = np.eye(PARAMETERS)
_ALIKE = _EACH[:, LOG_SCALE].sum(axis=1, keepdims=True)
FREE_DIRECTIONS: dict[int, Array] = {
    6: _EACH[:, :6],
    7: np.hstack([_EACH[:, :6], _ALIKE]),
    9: _EACH[:, :9],
    12: _EACH,
}
"""Degrees of freedom: directions (12, dof) in which the parameters may move."""


def linear_part(parameters: Array) -> Array:
    """Return rotation times shear times scales (3, 3) of the map template to scan.

    The scales stand on the right, so that they act along the template's axes.
    Without shear, the columns therefore stay at right angles. The determinant is
    the product of the scales, always positive: no parameters give a reflection.

    Examples
    --------
    >>> parameters = np.zeros(12)
    >>> parameters[LOG_SCALE] = 0, 0, np.log(2)
    >>> linear_part(parameters).diagonal()
    array([1., 1., 2.])
    """
    rotation = Rotation.from_rotvec(parameters[ROTATION]).as_matrix()
    shear = np.eye(3)
    shear[[0, 0, 1], [1, 2, 2]] = parameters[SHEAR]
    # einsum and not BLAS, whose sums depend on the number of threads.
    turned = np.einsum("ij,jk->ik", rotation, shear)
    return np.asarray(turned * np.exp(parameters[LOG_SCALE]))


def start_parameters(
    rotation: Array, translation_mm: Array, log_scale: float, dof: int
) -> Array:
    """Return the twelve parameters of a start, as far as the model can express it.

    Examples
    --------
    >>> start_parameters(np.zeros(3), np.zeros(3), 0.1, dof=6)[LOG_SCALE]
    array([0., 0., 0.])
    """
    parameters = np.zeros(PARAMETERS)
    parameters[ROTATION], parameters[TRANSLATION] = rotation, translation_mm
    parameters[LOG_SCALE] = log_scale
    return parameters * FREE_DIRECTIONS[dof].any(axis=1)


def rotation_and_scales(linear: Array) -> tuple[Array, Array]:
    """Split a map from template to scan into its rotation and its scales.

    Parameters
    ----------
    linear
        Upper left part (3, 3) of the map, without reflection.

    Returns
    -------
    tuple
        Rotation matrix (3, 3) and scales (3,) along the template's axes.

    Examples
    --------
    >>> rotation, scales = rotation_and_scales(np.diag([1.0, 2.0, 3.0]))
    >>> bool((rotation == np.eye(3)).all()), scales.tolist()
    (True, [1.0, 2.0, 3.0])
    """
    rotation, upper = np.linalg.qr(linear)
    signs = np.sign(upper.diagonal())
    return np.asarray(rotation * signs), np.asarray(np.abs(upper.diagonal()))
