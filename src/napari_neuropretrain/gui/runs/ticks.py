"""Round numbers for the axes of a plot."""

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


def log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return powers of ten from `low` to `high`, or other round numbers if few.

    Examples
    --------
    >>> log_ticks(0.02, 30), log_ticks(0.3, 0.9), log_ticks(1e-9, 10)
    ([0.1, 1.0, 10.0], [0.4, 0.6, 0.8], [1e-08, 1e-05, 0.01, 10.0])
    """
    first = math.ceil(math.log10(low) - 1e-9)
    last = math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        return ticks(low, high, most)
    step = math.ceil((last - first + 1) / most)
    return [_tidy(10.0**power) for power in range(last, first - 1, -step)][::-1]


def whole_ticks(low: int, high: int, most: int = 6) -> list[int]:
    """Return round whole numbers, and the first and the last one if there is room.

    Examples
    --------
    >>> whole_ticks(1, 3), whole_ticks(1, 100, 4)
    ([1, 2, 3], [50, 100])
    """
    if high - low < most:
        return list(range(low, high + 1))
    return [int(one) for one in ticks(low, high, most) if one == int(one)]


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
