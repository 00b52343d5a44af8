"""From coarse to fine: ask about few positions first, then where it matters.

The positions form a grid. Every fourth along each axis is asked about, the others are
interpolated; then every second, then all, those first where the interpolation is
expected to be most wrong. How wrong it is in general is measured at each step on a
random sample, so that the error left can be stated. Every second is always asked
about, unless the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Effects: TypeAlias = NDArray[np.float64]
_COARSEST = 4
_SAMPLE = 0.1
_FEWEST = 24
_BATCH = 48
_ALIKE = 5


@dataclass(frozen=True)
class Refinement:
    """When to stop.

    Parameters
    ----------
    correlation
        Estimated correlation with the effects of all positions that is enough.
    seconds
        Time that may be spent; 0 for any.
    seed
        Of the random sample.
    """

    correlation: float = 0.98
    seconds: float = 0.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Guess:
    """All effects, asked about or interpolated.

    Parameters
    ----------
    effects
        On the grid of positions.
    error
        Estimated root mean square error over the grid, in their units.
    correlation
        Estimated correlation with the effects of all positions.
    """

    effects: Effects
    error: float
    correlation: float


def refine(
    known: Effects,
    ask: Callable[[Sequence[int]], Effects],
    refinement: Refinement,
) -> Iterator[Guess]:
    """Yield better and better guesses of the effects on a grid of positions.

    Parameters
    ----------
    known
        (x, y, z) with NaN where an effect is not known; `ask` fills it in.
    ask
        Takes numbers of positions in the flattened grid, returns their effects.
    refinement
        When to stop.
    """
    began = time.monotonic()
    state = _State(known, np.random.default_rng(refinement.seed))
    ask(state.waiting(_COARSEST).tolist())
    state.interpolate(_COARSEST)
    yield state.guess(_COARSEST)
    for step in (_COARSEST // 2, 1):
        for turn, numbers in enumerate(state.batches(step)):
            found = ask(numbers.tolist())
            state.learn(numbers, found, afresh=turn == 0)
            guess = state.guess(step)
            yield guess
            if 0 < refinement.seconds < time.monotonic() - began:
                return
            # Not before the most doubtful were looked at: a small strong place is
            # easily missed by a sample.
            if step == 1 and turn and guess.correlation >= refinement.correlation:
                return
        state.interpolate(step)


class _State:
    """What is known, and how wrong the rest may be."""

    def __init__(self, known: Effects, draw: np.random.Generator) -> None:
        self._known: Effects = known
        self._draw = draw
        self._all = np.zeros_like(known)
        self._doubt = np.ones_like(known)
        # Of a random sample: doubts, and squares of what was wrong.
        self._sample = (np.zeros(0), np.zeros(0))
        self._latest: float | None = None

    def waiting(self, step: int) -> NDArray[np.int64]:
        """Return the unknown positions of a coarser grid, flattened numbers."""
        chosen: NDArray[np.bool_] = np.zeros(self._known.shape, dtype=bool)
        chosen[np.ix_(*(_rows(edge, step) for edge in chosen.shape))] = True
        return np.flatnonzero(chosen & np.isnan(self._known))

    def interpolate(self, step: int) -> None:
        """Guess all positions from those of a coarser grid, and doubt them."""
        rows = [_rows(edge, step) for edge in self._known.shape]
        at = np.ix_(*rows)
        coarse = np.where(np.isnan(self._known), self._all, self._known)[at]
        self._all = _spread(coarse, rows, self._known.shape)
        # Where the map bends or is steep, a straight line between is most wrong.
        steep = ndimage.maximum_filter(coarse, 3) - ndimage.minimum_filter(coarse, 3)
        self._doubt = _spread(steep, rows, self._known.shape) + 1e-12

    def batches(self, step: int) -> Iterator[NDArray[np.int64]]:
        """Yield a random sample, then the rest by doubt, most doubtful first."""
        waiting = self.waiting(step)
        if not waiting.size:
            return
        count = min(waiting.size, max(_FEWEST, round(_SAMPLE * waiting.size)))
        sample = self._draw.choice(waiting, count, replace=False)
        yield sample
        rest = np.setdiff1d(waiting, sample)
        rest = rest[np.argsort(-self._doubt.ravel()[rest], kind="stable")]
        for first in range(0, rest.size, _BATCH):
            yield rest[first : first + _BATCH]

    def learn(self, numbers: NDArray[np.int64], found: Effects, afresh: bool) -> None:
        """Compare what was found with what was guessed."""
        wrong = (found - self._all.ravel()[numbers]) ** 2
        self._latest = float(wrong.mean())
        if afresh:
            self._sample = (self._doubt.ravel()[numbers], wrong)

    def guess(self, step: int) -> Guess:
        """Return all effects with an estimate of their error.

        The error is that of the last complete grid; what is known beyond it makes
        the effects better than stated.
        """
        unknown = np.isnan(self._known)
        rows = [_rows(edge, step) for edge in self._known.shape]
        mixed = np.where(unknown, self._all, self._known)[np.ix_(*rows)]
        guessed = _spread(mixed, rows, self._known.shape)
        effects = np.where(unknown, guessed, self._known)
        square = self._mean_square(unknown) * unknown.sum() / effects.size
        spread = float(effects.var()) + square
        share = square / spread if spread else 0.0
        return Guess(effects, float(np.sqrt(square)), float(np.sqrt(1 - share)))

    def _mean_square(self, unknown: NDArray[np.bool_]) -> float:
        """Estimate the mean square of what is wrong where it is not known.

        Those members of the sample count that are as little doubted: they are a
        random sample of what is left.
        """
        if self._latest is None:
            return float(np.nanvar(self._known))
        if not unknown.any():
            return 0.0
        doubts, wrong = self._sample
        alike = doubts <= self._doubt[unknown].max()
        # Too few: those asked about last were doubted more, so this is cautious.
        return float(wrong[alike].mean()) if alike.sum() > _ALIKE else self._latest


def _rows(edge: int, step: int) -> NDArray[np.int64]:
    """Return every so many indices, the last one included.

    Examples
    --------
    >>> _rows(8, 4).tolist(), _rows(9, 4).tolist()
    ([0, 4, 7], [0, 4, 8])
    """
    return np.unique(np.append(np.arange(0, edge, step), edge - 1))


def _spread(
    coarse: Effects, rows: Sequence[NDArray[np.int64]], shape: Sequence[int]
) -> Effects:
    """Interpolate linearly from rows of each axis to all of them."""
    for axis, (known, edge) in enumerate(zip(rows, shape, strict=True)):
        wanted = np.arange(edge)
        right = np.clip(np.searchsorted(known, wanted), 1, max(len(known) - 1, 1))
        if len(known) == 1:
            continue
        low, high = known[right - 1], known[right]
        share = (wanted - low) / (high - low)
        form = [1, 1, 1]
        form[axis] = edge
        before = np.take(coarse, right - 1, axis)
        after = np.take(coarse, right, axis)
        coarse = before + (after - before) * share.reshape(form)
    return coarse
