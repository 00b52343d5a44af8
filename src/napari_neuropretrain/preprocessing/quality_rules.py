"""Which range of each measure of quality is usual.

The limits come from real scans of several scanners, and from the same scans with
noise, motion, blur and cuts added (docs/quality.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Side: TypeAlias = Literal["low", "high", "both"]
Limits: TypeAlias = tuple[float | None, float | None]


def is_outside(value: float, limits: Limits) -> bool:
    """Tell whether a value is beyond a range, of which either end may be open.

    Examples
    --------
    >>> is_outside(0.9, (0.92, None)), is_outside(0.95, (0.92, None))
    (True, False)
    """
    low, high = limits
    return (low is not None and value < low) or (high is not None and value > high)


@dataclass(frozen=True)
class Rule:
    """When a measure is bad.

    Parameters
    ----------
    measure
        Column of the table.
    title
        What it is, in words; begins a sentence.
    digits
        Decimals to print.
    advice
        What to do about it.
    look, reject
        Usual range; outside the first a person should look, outside the second
        the scan is rejected. None has no limit.
    side
        Which side of the cohort is bad; None never compares.
    least
        A scan this close to the cohort's median is never an outlier.
    """

    measure: str
    title: str
    digits: int
    advice: str
    look: Limits = (None, None)
    reject: Limits = (None, None)
    side: Side | None = None
    least: float = 0.0

    def is_unusual(self, value: float) -> bool:
        """Tell whether a person should look, whatever the cohort is like."""
        return is_outside(value, self.look) or is_outside(value, self.reject)


MASK = "look at the mask's outline"
PLACE = "look whether the template's edges follow the brain"
NOISE = "look for noise and motion"
MOTION = "look for motion"
BLUR = "look for blur and motion"
SHADE = "look whether the aligned image is evenly bright"
CLIP = "look for saturated white matter"
HALF = "look for a missing side"
OTHER = "look what is different"
NO = None
PART = "look whether part of the brain is missing"
RULES = (
    Rule(
        "mask_ml", "brain volume in mL", 0, MASK, (950, 2100), (700, 2400), "both", 300
    ),
    Rule(
        "dice", "Dice with the template", 2, MASK, (0.92, NO), (0.84, NO), "low", 0.02
    ),
    Rule(
        "correlation",
        "similarity to the template",
        2,
        PLACE,
        (0.38, NO),
        (0.35, NO),
        "low",
        0.06,
    ),
    Rule("coverage", "share of the brain in the view", 2, PART, (0.97, NO), (0.85, NO)),
    Rule(
        "cut_cm2",
        "brain cut by the edge of the view in cm²",
        0,
        PART,
        (NO, 15),
        (NO, 60),
        "high",
        10,
    ),
    Rule(
        "rotation_degrees",
        "rotation to the template in degrees",
        0,
        PLACE,
        (NO, 45),
        side="high",
        least=25,
    ),
    Rule(
        "scale_x",
        "stretch from left to right",
        2,
        PLACE,
        (0.85, 1.4),
        side="both",
        least=0.15,
    ),
    Rule(
        "scale_y",
        "stretch from back to front",
        2,
        PLACE,
        (0.85, 1.4),
        side="both",
        least=0.15,
    ),
    Rule(
        "scale_z",
        "stretch from bottom to top",
        2,
        PLACE,
        (0.85, 1.4),
        side="both",
        least=0.2,
    ),
    Rule("snr", "signal to noise", 0, NOISE, (20, NO), (6, NO), "low", 10),
    Rule(
        "cnr",
        "contrast of white and grey matter",
        2,
        NOISE,
        (1.0, NO),
        (0.4, NO),
        "low",
        0.2,
    ),
    Rule(
        "energy_ratio", "brain over air in dB", 0, NOISE, (21, NO), side="low", least=8
    ),
    Rule(
        "ghosting",
        "ghosts in the air",
        3,
        MOTION,
        (NO, 0.032),
        (NO, 0.15),
        "high",
        0.015,
    ),
    Rule(
        "smoothness_mm",
        "width of the texture in mm",
        1,
        BLUR,
        side="both",
        least=1.0,
    ),
    Rule(
        "shading",
        "shading of white matter",
        2,
        SHADE,
        (NO, 0.8),
        side="high",
        least=0.2,
    ),
    Rule(
        "clipped_share",
        "share of the brain at the largest value",
        3,
        CLIP,
        (NO, 0.01),
        (NO, 0.25),
    ),
    Rule(
        "asymmetry",
        "difference of the brain's halves",
        3,
        HALF,
        (-0.03, 0.03),
        (-0.12, 0.12),
        "both",
        0.012,
    ),
    Rule(
        "cohort_correlation",
        "likeness to the cohort's mean image",
        2,
        OTHER,
        side="low",
        least=0.1,
    ),
)
"""Every measure that counts; docs/quality.md says where the limits come from."""
