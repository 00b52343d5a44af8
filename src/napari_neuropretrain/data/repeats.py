"""Find scans of one person under two names, by what the volumes show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from napari_neuropretrain.data.cells import cell_means

LEAST_CORRELATION = 0.6
"""Of two fingerprints of one person. Between 141 people of one scanner the highest
was 0.44; repeats that we made of them had 0.80 (turned by a degree, with noise, a
bias field and another contrast) to 0.92."""
LEAST_DEVIATIONS = 8.0
"""How far a pair must stand out from each scan's other pairs, in robust standard
deviations of Fisher's z; keeps cohorts of look-alikes from being taken for one."""
_FEW = 10
_SMOOTHING_CELLS = 2.0
_BLOCK = 1024


@dataclass(frozen=True)
class Repeat:
    """Two scans that show the same brain, by their index, and how alike they are."""

    one: int
    other: int
    correlation: float


def fingerprint(image: ArrayLike, spacing_mm: float = 2.0) -> NDArray[np.float32]:
    """Return what is particular to a brain in a preprocessed volume.

    Means of cells of 8 mm, less their surroundings (Gaussian, 2 cells): what is left
    are folds and ventricles, not contrast or bias field.

    Parameters
    ----------
    image
        (X, Y, Z), 0 outside the brain.
    spacing_mm
        Edge of a voxel.

    Returns
    -------
    numpy.ndarray
        float32 (cells,); 0 outside the brain.
    """
    voxels = np.asarray(image, dtype=np.float32)
    cells = cell_means(voxels, spacing_mm)
    share = cell_means(voxels != 0, spacing_mm)
    around = gaussian_filter(cells, _SMOOTHING_CELLS)
    around /= np.maximum(gaussian_filter(share, _SMOOTHING_CELLS), 1e-3)
    left = np.where(share > 0.5, cells - around * share, 0)
    found: NDArray[np.float32] = left.astype(np.float32).reshape(-1)
    return found


def find_repeats(
    fingerprints: Sequence[NDArray[np.float32]], participants: Sequence[str]
) -> tuple[Repeat, ...]:
    """Return pairs of scans of different participants that show the same brain.

    The mean of the cohort is taken off first; what remains of two different people
    hardly correlates.

    Parameters
    ----------
    fingerprints
        One for each scan, of one size.
    participants
        Name of the participant of each scan.

    Returns
    -------
    tuple
        Pairs, the most alike first.
    """
    if len(fingerprints) < 3:
        return ()
    unit = _standardised(np.stack(fingerprints))
    pairs = [
        (one, other, correlation)
        for one, other, correlation in _alike(unit)
        if participants[one] != participants[other]
    ]
    typical = {who: _typical(unit, who) for pair in pairs for who in pair[:2]}
    found = [
        Repeat(one, other, correlation)
        for one, other, correlation in pairs
        if len(unit) < _FEW or _stands_out(correlation, typical[one], typical[other])
    ]
    return tuple(sorted(found, key=lambda pair: -pair.correlation))


def _standardised(fingerprints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take off the cohort's mean and each scan's own; return rows of length 1."""
    inside = (fingerprints != 0).mean(axis=0) > 0.5
    left = fingerprints[:, inside]
    left = left - left.mean(axis=0)
    left -= left.mean(axis=1, keepdims=True)
    length = np.linalg.norm(left, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (left / np.maximum(length, 1e-12)).astype(np.float32)
    return unit


def _alike(unit: NDArray[np.float32]) -> Iterator[tuple[int, int, float]]:
    """Yield pairs that correlate, by blocks of scans that fit into memory."""
    for start in range(0, len(unit), _BLOCK):
        # Of each pair one half: those after the first.
        correlation = unit[start : start + _BLOCK] @ unit[start:].T
        for one, other in np.argwhere(correlation >= LEAST_CORRELATION):
            if one < other:
                pair = int(one) + start, int(other) + start
                yield *pair, float(correlation[one, other])


def _typical(unit: NDArray[np.float32], who: int) -> tuple[float, float]:
    """Return centre and spread of the z of a scan with all others."""
    return typical_z(np.delete(unit @ unit[who], who))


def typical_z(correlations: NDArray[np.float32]) -> tuple[float, float]:
    """Return centre and robust standard deviation of Fisher's z."""
    z = np.arctanh(np.clip(correlations, -0.9999, 0.9999))
    low, centre, high = np.quantile(z, (0.1, 0.5, 0.9))
    # Of a normal distribution the middle four fifths are 2.563 SD wide. Wider than
    # quartiles: where two groups look alike, both are to be within.
    return float(centre), max(float(high - low) / 2.563, 1e-6)


def _stands_out(
    correlation: float, one: tuple[float, float], other: tuple[float, float]
) -> bool:
    z = float(np.arctanh(min(correlation, 0.9999)))
    deviations = [(z - centre) / spread for centre, spread in (one, other)]
    return min(deviations) >= LEAST_DEVIATIONS


def same_people(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return one name for each person with several, by every name they have.

    Examples
    --------
    >>> same_people([("a", "b"), ("c", "b")])
    {'a': 'a', 'b': 'a', 'c': 'a'}
    """
    group_of: dict[str, set[str]] = {}
    for one, other in pairs:
        together = group_of.get(one, {one}) | group_of.get(other, {other})
        group_of |= dict.fromkeys(together, together)
    return {name: min(group) for name, group in sorted(group_of.items())}
