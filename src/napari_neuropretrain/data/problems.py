"""One thing that is wrong in a cohort, whom it concerns, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""error: a job refuses it or leaves someone out, or a result cannot be believed;
warning: look at it; note: good to know."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
_SHOWN = 6


@dataclass(frozen=True)
class Problem:
    """Something wrong with some members of a cohort.

    Parameters
    ----------
    severity
        One of `SEVERITIES`.
    kind
        A short name of its own, such as ``"missing file"``.
    text
        One sentence that says what it is and names who.
    advice
        What to do.
    numbers
        The members it concerns; empty for the cohort as a whole.
    """

    severity: Severity
    kind: str
    text: str
    advice: str
    numbers: tuple[int, ...] = ()


def sorted_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems with the worst first, otherwise in their order."""
    return tuple(sorted(problems, key=lambda one: SEVERITIES.index(one.severity)))


def few(names: Sequence[str]) -> str:
    """Write the first names of many.

    Examples
    --------
    >>> few(["a", "b"]), few([str(n) for n in range(8)])
    ('a, b', '0, 1, 2, 3, 4, 5 and 2 more')
    """
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def count(number: int, noun: str) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> count(1, "scan"), count(3, "scan")
    ('1 scan', '3 scans')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
