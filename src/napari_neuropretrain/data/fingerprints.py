"""Remember what is particular to each brain, to know it again in another cohort."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.config.base import write_bytes
from napari_neuropretrain.data.repeats import (
    LEAST_CORRELATION,
    LEAST_DEVIATIONS,
    typical_z,
)
from napari_neuropretrain.errors import CheckpointError

FINGERPRINTS = "fingerprints.npz"
"""In a run folder: the brains that were learned from. It names participants."""
_FEW = 10
_NUMBERS = 1024
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What is particular to the brains of some scans.

    Random projections of fingerprints to 1024 numbers, which keep their correlations
    to within 0.03 (Johnson and Lindenstrauss 1984), and are no pictures.

    Parameters
    ----------
    scans
        Key of each scan.
    values
        float16 (N, 1024).
    cells
        Size of the fingerprints; only those of one size can be compared.
    """

    scans: tuple[str, ...]
    values: NDArray[np.float16]
    cells: int

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file, whole or not at all."""
        stream = io.BytesIO()
        names = np.array(self.scans, dtype=np.str_)
        np.savez(stream, scans=names, values=self.values, cells=self.cells)
        write_bytes(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> Fingerprints:
        """Read what `save` wrote; nothing in it is executed.

        Raises
        ------
        CheckpointError
            If the file is missing or is none of these.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                names = tuple(found["scans"].tolist())
                return cls(names, found["values"], int(found["cells"]))
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"Cannot read the fingerprints '{path}': {error}. Delete the file to "
                "do without them."
            ) from None


@dataclass(frozen=True)
class KnownBrain:
    """A scan that shows the same brain as one that was learned from."""

    known: str
    scan: str
    correlation: float

    def __str__(self) -> str:
        return f"{self.scan} shows the brain of {self.known} ({self.correlation:.2f})"


def condense(brains: Mapping[str, NDArray[np.float32]]) -> Fingerprints:
    """Project fingerprints (cells,), by scan key, to what is kept of them."""
    rows = [_centred(one) for one in brains.values()]
    cells = rows[0].size if rows else 0
    values = np.stack(rows) @ _projection(cells) if rows else np.zeros((0, _NUMBERS))
    return Fingerprints(tuple(brains), values.astype(np.float16), cells)


def join(first: Fingerprints, other: Fingerprints) -> Fingerprints:
    """Put two together; of different sizes, or where one is empty, keep the first."""
    if not first.scans:
        return other
    if first.cells != other.cells:
        return first
    values = np.concatenate([first.values, other.values])
    return Fingerprints((*first.scans, *other.scans), values, first.cells)


def find_known(known: Fingerprints, others: Fingerprints) -> tuple[KnownBrain, ...]:
    """Return the scans of another cohort that show a brain that is known.

    Each cohort's own mean is taken off, so that two scanners do not look like two
    people; a few scans have no mean of their own, and get that of the known ones.

    Returns
    -------
    tuple
        The most alike first; nothing where fewer than three are known, or sizes
        differ.
    """
    if len(known.scans) < 3 or not others.scans or known.cells != others.cells:
        return ()
    mean = known.values.mean(axis=0, dtype=np.float32)
    one = _unit(known.values, mean)
    many = len(others.scans) >= _FEW
    own = others.values.mean(axis=0, dtype=np.float32) if many else mean
    two = _unit(others.values, own)
    found = [
        KnownBrain(known.scans[first], others.scans[second], correlation)
        for first, second, correlation in _alike(one, two)
        if all(
            np.arctanh(min(correlation, 0.9999)) - centre >= LEAST_DEVIATIONS * spread
            for centre, spread in (
                _usual(one[first], two, second),
                _usual(two[second], one, first),
            )
        )
    ]
    return tuple(sorted(found, key=lambda pair: -pair.correlation))


def _usual(
    row: NDArray[np.float32], others: NDArray[np.float32], who: int
) -> tuple[float, float]:
    """Return centre and spread of the z of a scan with all others but one."""
    if len(others) < _FEW:
        return 0.0, 0.0  # too few to say what is usual
    return typical_z(np.delete(others @ row, who))


def _alike(
    one: NDArray[np.float32], two: NDArray[np.float32]
) -> Iterator[tuple[int, int, float]]:
    for start in range(0, len(one), _BLOCK):
        correlation = one[start : start + _BLOCK] @ two.T
        for first, second in np.argwhere(correlation >= LEAST_CORRELATION):
            value = float(correlation[first, second])
            yield int(first) + start, int(second), value


def _unit(
    values: NDArray[np.float16], mean: NDArray[np.float32]
) -> NDArray[np.float32]:
    left = values.astype(np.float32) - mean
    length = np.linalg.norm(left, axis=1, keepdims=True)
    unit: NDArray[np.float32] = left / np.maximum(length, 1e-12)
    return unit


def _centred(brain: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the mean off where there is brain."""
    inside = brain != 0
    mean = brain[inside].mean() if inside.any() else 0.0
    return np.where(inside, brain - mean, 0).astype(np.float32)


@lru_cache(maxsize=2)
def _projection(cells: int) -> NDArray[np.float32]:
    """Return the same random matrix (cells, 1024) everywhere."""
    random = np.random.default_rng(20_261_122)
    drawn = random.standard_normal((cells, _NUMBERS), dtype=np.float32)
    return drawn / np.float32(np.sqrt(_NUMBERS))


def names_of(pairs: Sequence[KnownBrain], most: int = 10) -> str:
    """Write the first pairs of many."""
    more = len(pairs) - most
    listed = "; ".join(str(one) for one in pairs[:most])
    return listed + (f"; and {more} more" if more > 0 else "")
