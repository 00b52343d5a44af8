"""Kernels for processors: contrast and noise of one volume, row by row.

Volumes are (X, Y, Z), float32 and contiguous; boxes are those of `brain_box`.
Logarithms, powers and sines are polynomials (Moshier's Cephes library, single
precision): loops of them use wide registers, loops that call a library do not.
"""

from __future__ import annotations

import math

import numpy as np

from napari_neuropretrain.training.compiled import compiled
from napari_neuropretrain.training.view_kernels_motion import (
    Box,
    Row,
    Volume,
    copy_row,
    is_empty,
)


@compiled
def extremes(volume: Volume, brain: Volume, box: Box) -> tuple[float, float]:
    """Return the least and largest of 0 and the values where `brain` is not 0."""
    size = box[2, 1] - box[2, 0]
    lows, highs = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for x in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            row = volume[x, y, box[2, 0] : box[2, 1]]
            inside = brain[x, y, box[2, 0] : box[2, 1]]
            for z in range(size):
                value = row[z] if inside[z] != 0 else np.float32(0)
                lows[z] = value if value < lows[z] else lows[z]
                highs[z] = value if value > highs[z] else highs[z]
    return lows.min(), highs.max()


_ONE, _HALF = np.float32(1), np.float32(0.5)
_ROOT = np.float32(math.sqrt(2))
_LN2, _LOG2_E = np.float32(math.log(2)), np.float32(1 / math.log(2))
_MANTISSA, _BIAS, _POINT = np.int32(0x7FFFFF), np.int32(127), np.int32(23)
_UNIT = np.int32(0x3F800000)
_MINUS_TWO, _TWO = np.float32(-2), np.int32(2)
_STEP, _ANGLE = np.float32(2.0**-31), np.float32(math.pi * 2.0**-31)


def _terms(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(one) for one in numbers)


_LOG = _terms(
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1),
    *(-1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1),
    *(2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
_EXP2 = _terms(
    *(1.535336188319500e-4, 1.339887440266574e-3, 9.618437357674640e-3),
    *(5.550332471162809e-2, 2.402264791363012e-1, 6.931472028550421e-1, 1),
)
_SINE = _terms(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COSINE = _terms(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)


@compiled
def _log(value: np.float32) -> np.float32:
    """Return the natural logarithm of a positive number."""
    bits = np.float32(value).view(np.int32)
    exponent = np.int32((bits >> _POINT) - _BIAS)
    mantissa = np.int32((bits & _MANTISSA) | _UNIT).view(np.float32)
    above = mantissa > _ROOT
    mantissa = (mantissa * _HALF if above else mantissa) - _ONE
    power = np.float32(exponent) + (_ONE if above else np.float32(0))
    term = _LOG[0]
    for one in _LOG[1:]:
        term = term * mantissa + one
    square = mantissa * mantissa
    return mantissa - _HALF * square + square * mantissa * term + power * _LN2


@compiled
def _exp2(value: np.float32) -> np.float32:
    """Return 2 to a power of -126 to 0."""
    whole = np.int32(value - _HALF)  # towards 0: to the nearest
    rest = value - np.float32(whole)
    term = _EXP2[0]
    for one in _EXP2[1:]:
        term = term * rest + one
    return term * np.int32((whole + _BIAS) << _POINT).view(np.float32)


@compiled
def _raise_row(
    row: Row, contrast: tuple[float, float, float, float, float], out: Row
) -> None:
    """Raise a row to a power between two extremes, then scale and shift."""
    low, high, gamma, gain, shift = contrast
    zero, least = np.float32(0), np.float32(-126)
    base, power = np.float32(low), np.float32(gamma) * _LOG2_E
    inverse = np.float32(1 / (high - low)) if high > low else zero
    scale, offset = np.float32((high - low) * gain), np.float32(low * gain + shift)
    for z in range(len(row)):
        share = (row[z] - base) * inverse
        share = share if share < _ONE else _ONE
        exponent = _log(share) * power
        powered = _exp2(exponent if exponent > least else least)
        out[z] = (powered if share > zero else zero) * scale + offset


@compiled
def _mixed(counter: np.uint64) -> np.uint64:
    """Return random bits from a counter (SplitMix64, Steele et al. 2014)."""
    bits = counter * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@compiled
def _draw_noise(start: np.uint64, noise: Row) -> None:
    """Fill an even row with standard normal numbers (Box and Muller 1958).

    The numbers follow from `start` alone, so that no thread disturbs another.
    """
    half = len(noise) // 2
    one, other = noise[:half], noise[half:]
    for z in range(half):
        bits = _mixed(start + np.uint64(z))
        upper, lower = np.int32(bits >> np.uint64(33)), np.int32(bits)
        radius = np.sqrt(_MINUS_TWO * _log(np.float32(upper) * _STEP + _HALF * _STEP))
        # An angle of an eighth turn to either side, and one of four quarter turns.
        angle = np.float32(np.int32(lower >> _TWO)) * _ANGLE
        square = angle * angle
        sine = (_SINE[0] * square + _SINE[1]) * square + _SINE[2]
        sine = sine * square * angle + angle
        cosine = (_COSINE[0] * square + _COSINE[1]) * square + _COSINE[2]
        cosine = (cosine * square - _HALF) * square + _ONE
        radius = -radius if (lower & 2) != 0 else radius
        turned = (lower & 1) != 0
        one[z] = radius * (sine if turned else cosine)
        other[z] = radius * (-cosine if turned else sine)


@compiled
def change_brain(
    source: Volume,
    view: Volume,
    box: Box,
    varies: bool,
    contrast: tuple[float, float, float, float, float],
    sigma: float,
    seed: np.uint64,
) -> None:
    """Take the brain from `source`, change its contrast and add noise.

    Parameters
    ----------
    source
        (X, Y, Z), blurred or the view itself.
    view
        (X, Y, Z); what is not 0 in it is brain and changes.
    box
        Of the brain.
    varies
        Whether the contrast changes.
    contrast
        Least and largest intensity, power, gain and shift.
    sigma, seed
        Standard deviation of the noise, 0 for none, and where its numbers begin.
    """
    _, size_y, size_z = view.shape
    low, high = box[2, 0], box[2, 1]
    line = np.empty(high - low, np.float32)
    # An even number: noise comes in pairs.
    noise = np.empty(len(line) + len(line) % 2, np.float32)
    for x in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            row, seen = source[x, y, low:high], view[x, y, low:high]
            if is_empty(seen):
                continue
            if varies:
                _raise_row(row, contrast, line)
            else:
                copy_row(row, line)
            if sigma > 0:
                _draw_noise(seed + np.uint64((x * size_y + y) * size_z), noise)
                _add_row(np.float32(sigma), noise, line)
            _fill_brain(line, seen)


@compiled
def _add_row(share: np.float32, row: Row, total: Row) -> None:
    for z in range(len(total)):
        total[z] += share * row[z]


@compiled
def _fill_brain(line: Row, seen: Row) -> None:
    for z in range(len(line)):
        seen[z] = line[z] if seen[z] != 0 else np.float32(0)
