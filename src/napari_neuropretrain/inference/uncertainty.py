"""How certain a prediction is: the spread of several looks, and calibrated errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Literal, TypeAlias

from napari_neuropretrain.weights.reference import conformal_radius

Method: TypeAlias = Literal["none", "tta", "dropout", "ensemble"]
KINDS = {
    "conformal": "calibrated on the validation scans",
    "ensemble": "spread of the models",
    "dropout": "spread under dropout",
    "tta": "spread under small changes of the scan",
    "none": "not known",
}
"""What an interval was made from, in words."""
_CLOSEST = 1e-6
"""A probability nearer to 0 or 1 than this has no use as a logit."""


@dataclass(frozen=True)
class Interval:
    """Where a value may lie.

    Parameters
    ----------
    kind
        One of `KINDS`.
    low, high
        Its ends, in the unit of the value.
    level
        For ``conformal`` the share of new people whose label it holds, for the others
        that of further looks at the same scan.
    """

    kind: str
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Estimate:
    """A prediction with what is known of its certainty.

    Parameters
    ----------
    value
        In the unit of the label, or a probability.
    spread
        From several looks, or None.
    calibrated
        From errors on validation scans, or None.
    samples
        How many looks.
    """

    value: float
    spread: Interval | None = None
    calibrated: Interval | None = None
    samples: int = 0

    @property
    def interval(self) -> Interval | None:
        """The calibrated interval, which holds a promise; else the spread."""
        return self.calibrated or self.spread


def estimate(
    values: Sequence[float],
    looks: Sequence[float],
    method: Method,
    binary: bool,
    level: float,
    residuals: Sequence[float] = (),
) -> Estimate:
    """Sum up a prediction.

    Parameters
    ----------
    values
        Of each member; one for a single model. Members are averaged.
    looks
        Predictions of further looks, with one member.
    method
        How they were made.
    binary
        Probabilities are averaged and spread as logits, so that they stay within 0
        and 1.
    level
        Of the intervals.
    residuals
        Absolute errors on validation scans, for numbers.
    """
    scores = [logit(value) if binary else value for value in values]
    centre, read = fmean(scores), expit if binary else float
    value = read(centre) if len(scores) > 1 else float(values[0])
    spread, samples = None, 0
    if method == "ensemble" and len(scores) > 1:
        deviation, samples = stdev(scores), len(scores)
    elif method in ("tta", "dropout") and looks:
        others = [logit(look) if binary else look for look in looks]
        # About the value itself, so that a shift of all looks counts, too.
        deviation = math.sqrt(fmean((other - centre) ** 2 for other in others))
        samples = len(others)
    if samples:
        reach = NormalDist().inv_cdf((1 + level) / 2) * deviation
        ends = read(centre - reach), read(centre + reach)
        spread = Interval(method, *ends, level)
    radius = None if binary else conformal_radius(residuals, level)
    calibrated = None
    if radius is not None:
        calibrated = Interval("conformal", value - radius, value + radius, level)
    return Estimate(value, spread, calibrated, samples)


def logit(probability: float) -> float:
    """Return the logit of a probability, finite also for 0 and 1.

    Examples
    --------
    >>> logit(0.5), round(logit(1.0), 2)
    (0.0, 13.82)
    """
    kept = min(max(probability, _CLOSEST), 1 - _CLOSEST)
    return math.log(kept / (1 - kept))


def expit(score: float) -> float:
    """Return the probability of a logit.

    Examples
    --------
    >>> expit(0.0), round(expit(-800.0), 3)
    (0.5, 0.0)
    """
    return 1 / (1 + math.exp(-score)) if score >= 0 else 1 - expit(-score)
