"""Guess values between places where they are known, and say how wrong that may be.

Simple kriging from the nearest places, with a Matérn covariance of order 3/2:
Rasmussen and Williams (2006), "Gaussian processes for machine learning", equations
2.25, 2.26 and 4.17.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Values: TypeAlias = NDArray[np.float64]
LENGTHS = (1.0, 2.0, 4.0, 8.0)
"""Lengths over which values may be alike, in the unit of the places."""
_NEAR, _ALIKE = 24, 8
_ROUGH = 0.02
"""Share of the variance that has nothing to do with neighbours."""
_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Values that have been guessed.

    Parameters
    ----------
    values
        (M,).
    square
        Expected squares of their errors, (M,).
    """

    values: Values
    square: Values


def interpolate(places: Values, values: Values, targets: Values) -> Interpolation:
    """Guess values around 0 at other places.

    Each known value is guessed from the others first. The length with the smallest
    error there is taken, and how wrong the guesses are is learned from the known
    values around them: a map can be rough in one part and smooth in another.

    Parameters
    ----------
    places
        Where values are known, (N, 3), N at least 2.
    values
        (N,).
    targets
        Where they are wanted, (M, 3).
    """
    tries = [(length, *_krige(places, values, places, length)) for length in LENGTHS]
    length, guessed, variance = min(
        tries, key=lambda one: float(np.square(one[1] - values).mean())
    )
    found, expected = _krige(places, values, targets, length)
    # How wrong, as a multiple of the variance that the distances alone would give.
    wrong = np.square(guessed - values)
    _, near = cKDTree(places).query(targets, range(1, min(_ALIKE, len(places)) + 1))
    times = (wrong[near].sum(axis=1) + wrong.mean()) / (
        variance[near].sum(axis=1) + variance.mean()
    )
    return Interpolation(found, times * expected)


def _krige(
    places: Values, values: Values, targets: Values, length: float
) -> tuple[Values, Values]:
    """Return guesses and variances; a target that is a known place leaves it out."""
    own = targets is places
    count = min(_NEAR, len(places) - own)
    tree = cKDTree(places)
    found, variance = np.zeros(len(targets)), np.zeros(len(targets))
    for first in range(0, len(targets), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        ranks = range(1 + own, count + own + 1)  # the nearest place is itself
        distance, near = tree.query(targets[some], ranks)
        points = places[near]  # (m, count, 3)
        between = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
        alike = _matern(between, length) + _ROUGH * np.eye(count)
        towards = _matern(distance, length)
        weights = np.linalg.solve(alike, towards[..., None])[..., 0]
        found[some] = (weights * values[near]).sum(axis=1)
        variance[some] = 1 + _ROUGH - (weights * towards).sum(axis=1)
    return found, variance


def _matern(distance: Values, length: float) -> Values:
    scaled = np.sqrt(3) * distance / length
    alike: Values = (1 + scaled) * np.exp(-scaled)
    return alike
