"""Round numbers for the axis of a small drawing."""

from __future__ import annotations

import math

_STEPS = (1, 2, 5, 10)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most `most` round numbers from `low` to `high`.

    Examples
    --------
    >>> ticks(0.13, 0.92), ticks(0, 23, 4)
    ([0.2, 0.4, 0.6, 0.8], [0.0, 10.0, 20.0])
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    # A step may leave one tick too many where the ends are round.
    for step in (factor * power for factor in (*_STEPS, 20)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [_tidy(number * step) for number in range(first, last + 1)]
    return [low, high]


def label_of(number: float) -> str:
    """Write a tick.

    Examples
    --------
    >>> label_of(0.30000000000000004), label_of(20.0), label_of(1e-5)
    ('0.3', '20', '1e-05')
    """
    return f"{number:.4g}"


def _tidy(number: float) -> float:
    return float(f"{number:.12g}")
