"""Ask about few positions first, then where the map is most doubtful.

A gradient tells for all positions at once what hiding them would change if the network
were linear. Every fourth position along each axis is asked about, those where the
gradient is strongest, and a random sample. A line from the gradient to their effects
and kriging of what it leaves give the effects of all others, with what error they must
be expected to have; those with the largest are asked about next. Without a gradient, or
where it says little, every second position is asked about at first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_neuropretrain.explanation.kriging import interpolate

Effects: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = NDArray[np.int64]
_COARSE, _FINER = 4, 2
_FEWEST = 24
_SAMPLE = 0.02
_GROWTH = 0.2
_SAYS_ENOUGH = 0.25


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
        Estimated root mean square error over positions whose effect was not known
        at first, in their units.
    correlation
        Estimated correlation with the effects of all these positions.
    """

    effects: Effects
    error: float
    correlation: float


def refine(
    known: Effects,
    ask: Callable[[Sequence[int]], Effects],
    refinement: Refinement,
    first_order: Effects | None = None,
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
    first_order
        Effects of all positions by the gradient, if there is one.
    """
    until = time.monotonic() + (refinement.seconds or np.inf)
    state = _State(known, first_order)
    numbers = state.begin(np.random.default_rng(refinement.seed))
    while numbers.size:
        # With little time, no more at once than is needed to look at the clock.
        step = _FEWEST if refinement.seconds else numbers.size
        for first in range(0, numbers.size, step):
            ask(numbers[first : first + step].tolist())
            if time.monotonic() > until:
                break
        guess = state.guess()
        yield guess
        enough = guess.correlation >= refinement.correlation and state.is_covered()
        if enough or time.monotonic() > until:
            return
        numbers = state.most_doubtful()


class _State:
    """What is known, and how wrong the rest may be."""

    def __init__(self, known: Effects, first_order: Effects | None) -> None:
        self._known = known
        self._active: Numbers = np.flatnonzero(np.isnan(known))
        self._places = np.argwhere(np.isnan(known)).astype(float)
        self._first_order = None
        if first_order is not None and np.ptp(first_order.ravel()[self._active]) > 0:
            self._first_order = first_order.ravel()[self._active]
        self._covered = self._first_order is None
        self._doubt = np.zeros(self._active.size)

    def begin(self, draw: np.random.Generator) -> Numbers:
        """Return positions all over the grid, the seemingly strongest, and some more.

        In random order: if the time is short, it is short everywhere.
        """
        count = self._active.size
        some = min(count, max(_FEWEST, round(_SAMPLE * count)))
        first = set(draw.choice(count, some, replace=False).tolist())
        if self._first_order is None:
            return self._active[sorted(first | self._lattice(_FINER))]
        strength = np.abs(self._first_order)
        first |= set(np.argsort(-strength, kind="stable")[:some].tolist())
        chosen = sorted(first | self._lattice(_COARSE))
        shuffled: Numbers = self._active[draw.permutation(chosen)]
        return shuffled

    def guess(self) -> Guess:
        """Return all effects with an estimate of their error."""
        known = self._known.ravel()[self._active]
        there = ~np.isnan(known)
        trend = self._trend(known, there)
        effects, square = np.where(there, known, trend), np.zeros(known.size)
        if not there.all() and there.sum() > 1:
            rest = interpolate(
                self._places[there], (known - trend)[there], self._places[~there]
            )
            effects[~there] += rest.values
            square[~there] = rest.square
        self._doubt = square
        everywhere = self._known.copy()
        everywhere.ravel()[self._active] = effects
        mean = float(square.mean()) if square.size else 0.0
        spread = float(effects.var()) + mean if square.size else 0.0
        # Without any difference so far there is nothing to judge by.
        share = mean / spread if spread else float(not there.all())
        return Guess(everywhere, float(np.sqrt(mean)), float(np.sqrt(1 - share)))

    def is_covered(self) -> bool:
        """Say whether a small strong place would have been seen.

        By the gradient, or, where it has little to do with the effects so far, by
        every second position.
        """
        if self._covered:
            return True
        known = self._known.ravel()[self._active]
        there = ~np.isnan(known)
        left = (known - self._trend(known, there))[there]
        return bool(left.var() <= (1 - _SAYS_ENOUGH) * known[there].var())

    def most_doubtful(self) -> Numbers:
        """Return the positions to ask about next."""
        unknown = np.isnan(self._known.ravel()[self._active])
        waiting = np.flatnonzero(unknown)
        if not self.is_covered():
            self._covered = True
            lattice = sorted(self._lattice(_FINER).intersection(waiting.tolist()))
            if lattice:
                return self._active[lattice]
        asked = unknown.size - waiting.size
        count = max(_FEWEST, round(_GROWTH * asked))
        order = np.argsort(-self._doubt[waiting], kind="stable")
        next_ones: Numbers = self._active[np.sort(waiting[order[:count]])]
        return next_ones

    def _lattice(self, step: int) -> set[int]:
        """Return active positions on every so many rows of each axis."""
        edges = self._known.shape
        rows = [_rows(edge, step) for edge in edges]
        on = [np.isin(self._places[:, axis], rows[axis]) for axis in range(len(edges))]
        return set(np.flatnonzero(np.all(on, axis=0)).tolist())

    def _trend(self, known: Effects, there: NDArray[np.bool_]) -> Effects:
        """Return the line from the gradient, fitted to what is known."""
        columns = [np.ones(known.size)]
        if self._first_order is not None:
            columns.append(self._first_order)
        lines = np.stack(columns, axis=1)
        factors, *_ = np.linalg.lstsq(lines[there], known[there])
        trend: Effects = lines @ factors
        return trend


def _rows(edge: int, step: int) -> Numbers:
    """Return every so many indices, the last one included.

    Examples
    --------
    >>> _rows(8, 4).tolist(), _rows(9, 4).tolist()
    ([0, 4, 7], [0, 4, 8])
    """
    return np.unique(np.append(np.arange(0, edge, step), edge - 1))
