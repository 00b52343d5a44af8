"""Histograms of the measures of a cohort, as SVG for the quality page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np

from napari_neuropretrain.data.quality import QualityRow
from napari_neuropretrain.preprocessing.quality_rules import RULES, Rule
from napari_neuropretrain.preprocessing.quality_verdict import find_usual, is_far

SHOWN = (
    "mask_ml",
    "dice",
    "correlation",
    "cohort_correlation",
    "snr",
    "cnr",
    "ghosting",
    "smoothness_mm",
)
"""The measures that tell most."""
WIDTH, HEIGHT, PLOT = 220, 90, 60
BINS = 24


def draw_histograms(rows: Sequence[QualityRow]) -> str:
    """Return one figure a measure; unusual scans are marked and linked.

    Parameters
    ----------
    rows
        Scans with their measures. A measure that fewer than two have is left out.
    """
    rules = {rule.measure: rule for rule in RULES}
    return "\n".join(
        figure for name in SHOWN if (figure := _histogram(rules[name], rows))
    )


def _histogram(rule: Rule, rows: Sequence[QualityRow]) -> str:
    values = {
        row.key: value
        for row in rows
        if math.isfinite(value := row.measures.get(rule.measure, math.nan))
    }
    if len(values) < 2:
        return ""
    numbers = np.array(list(values.values()))
    low, high = float(numbers.min()), float(numbers.max())
    spread = (high - low) or abs(high) or 1.0
    low, high = low - 0.04 * spread, high + 0.04 * spread
    counts, _ = np.histogram(numbers, BINS, (low, high))
    width = WIDTH / BINS
    bars = "".join(
        f'<rect x="{index * width + 0.5:.1f}" y="{PLOT - tall:.1f}" '
        f'width="{width - 1:.1f}" height="{tall:.1f}"/>'
        for index, count in enumerate(counts)
        if (tall := (PLOT - 14) * count / counts.max())
    )
    name = html.escape(rule.title)
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{name} of {len(values)} scans">{bars}'
        f'<line x1="0" x2="{WIDTH}" y1="{PLOT}" y2="{PLOT}"/>'
        f"{_marks(rule, values, rows, low, high)}"
        f'<text x="0" y="{HEIGHT - 4}">{low:.{rule.digits}f}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">'
        f"{high:.{rule.digits}f}</text></svg>"
        f"<figcaption>{name}</figcaption></figure>"
    )


def _marks(
    rule: Rule,
    values: dict[str, float],
    rows: Sequence[QualityRow],
    low: float,
    high: float,
) -> str:
    """Return a triangle under each unusual scan, which leads to its card."""
    usual = find_usual(rule, [row.measures for row in rows])
    marks = []
    for key, value in values.items():
        if not (rule.is_unusual(value) or is_far(rule, value, usual)):
            continue
        x = WIDTH * (value - low) / (high - low)
        label = html.escape(f"{key}: {value:.{rule.digits}f}")
        marks.append(
            f'<a href="#{html.escape(key)}"><title>{label}</title>'
            f'<path d="M{x:.1f} {PLOT + 2} l5 9 h-10 z"/></a>'
        )
    return "".join(marks)
