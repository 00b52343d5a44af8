"""Turn measures into a verdict with its reason in words.

Two kinds of rules. Absolute ones hold for every scan; their limits come from real
scans of several scanners, and from the same scans with noise, motion and cuts added
(docs/quality.md). The others compare a scan with its cohort: the distance from the
median in robust deviations (1.4826 times the median absolute deviation; Leys et al.
2013, doi:10.1016/j.jesp.2013.03.013).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_neuropretrain.preprocessing.quality_rules import (
    RULES,
    Limits,
    Rule,
    is_outside,
)

MIN_COHORT = 8
"""Fewer scans are not compared with each other."""
FAR = 5.0
"""Robust deviations that make an outlier: none expected among thousands."""


@dataclass(frozen=True)
class Verdict:
    """What to do with a scan.

    Parameters
    ----------
    word
        ``"keep"``, ``"look"`` or ``"reject"``.
    reasons
        Why, one sentence for each measure that is out of range.
    """

    word: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usual:
    """Median and robust deviation of a measure in a cohort."""

    median: float
    deviation: float


def judge_cohort(
    measures: Mapping[str, Mapping[str, float]], rules: Sequence[Rule] = RULES
) -> dict[str, Verdict]:
    """Judge each scan by itself and against the others.

    Parameters
    ----------
    measures
        By scan, the numbers by name. Names without rule, and NaN, are passed over.
    rules
        When a measure is bad.

    Examples
    --------
    >>> cohort = {f"sub-{n}": {"dice": 0.95} for n in range(9)} | {"a": {"dice": 0.86}}
    >>> judge_cohort(cohort)["a"].reasons[0]
    "Dice with the template 0.86, usually at least 0.92: look at the mask's outline."
    """
    usual = {rule.measure: find_usual(rule, measures.values()) for rule in rules}
    return {key: judge_scan(numbers, usual, rules) for key, numbers in measures.items()}


def judge_scan(
    numbers: Mapping[str, float],
    usual: Mapping[str, Usual | None],
    rules: Sequence[Rule] = RULES,
) -> Verdict:
    """Judge one scan.

    Parameters
    ----------
    numbers
        Measures by name.
    usual
        What is usual in the cohort, by measure; None where it is too small.
    rules
        When a measure is bad.
    """
    words: set[str] = {"keep"}
    reasons: list[tuple[bool, str]] = []
    for rule in rules:
        value = numbers.get(rule.measure, math.nan)
        if not math.isfinite(value):
            continue
        word, reason = _judge(rule, value, usual.get(rule.measure))
        words.add(word)
        # The worst first: it is what one reads.
        reasons += [(word != "reject", reason)] if reason else []
    worst = next(word for word in ("reject", "look", "keep") if word in words)
    return Verdict(worst, tuple(reason for _, reason in sorted(reasons, key=_first)))


def find_usual(rule: Rule, cohort: Iterable[Mapping[str, float]]) -> Usual | None:
    """Return what is usual for a measure, or None for a small cohort."""
    values = np.array([numbers.get(rule.measure, math.nan) for numbers in cohort])
    values = values[np.isfinite(values)]
    if len(values) < MIN_COHORT or rule.side is None:
        return None
    median = float(np.median(values))
    return Usual(median, 1.4826 * float(np.median(np.abs(values - median))))


def is_far(rule: Rule, value: float, usual: Usual | None) -> bool:
    """Tell whether a value is an outlier of its cohort, on the bad side."""
    if usual is None:
        return False
    away = value - usual.median
    if abs(away) <= max(rule.least, FAR * usual.deviation):
        return False
    return rule.side == "both" or (away < 0) == (rule.side == "low")


def _judge(rule: Rule, value: float, usual: Usual | None) -> tuple[str, str]:
    """Return the verdict for one measure, and the sentence about it."""
    shown = f"{rule.title[0].upper()}{rule.title[1:]} {value:.{rule.digits}f}"
    if rule.is_unusual(value):
        word = "reject" if is_outside(value, rule.reject) else "look"
        return (
            word,
            f"{shown}, usually {_range(rule.look, rule.digits)}: {rule.advice}.",
        )
    if usual is not None and is_far(rule, value, usual):
        middle = f"{usual.median:.{rule.digits}f}"
        return "look", f"{shown}, in this cohort {middle}: {rule.advice}."
    return "keep", ""


def _range(limits: Limits, digits: int) -> str:
    low, high = limits
    if low is None:
        return f"at most {high:.{digits}f}"
    if high is None:
        return f"at least {low:.{digits}f}"
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _first(pair: tuple[bool, str]) -> bool:
    return pair[0]
