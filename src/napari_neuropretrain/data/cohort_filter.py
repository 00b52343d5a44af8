"""A line of text that picks members of a cohort: words, and ``age > 60``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from napari_neuropretrain.data.tables import MISSING_VALUES, find_column
from napari_neuropretrain.errors import ConfigError

Picks: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Takes the values of a member by column; says whether it is picked."""

_CLAUSE = re.compile(r"^\s*([\w. ()-]+?)\s*(>=|<=|!=|==|=|>|<|~)\s*(.*?)\s*$")
_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def parse_filter(text: str, columns: Iterable[str]) -> Picks:
    """Return what a line of text picks.

    Words must all be somewhere in the values. ``age > 60``, ``sex = F``,
    ``diagnosis != AD``, ``site ~ philips`` (contains) compare a column; ``=`` with
    nothing after it finds values that are missing. Join them with ``and``, and such
    groups with ``or``. Upper and lower case are the same.

    Parameters
    ----------
    text
        The line; empty picks everyone.
    columns
        Columns that there are.

    Raises
    ------
    ConfigError
        If there is no such column, or a number is needed.

    Examples
    --------
    >>> picks = parse_filter("age >= 60 and sex = f", ["age", "sex"])
    >>> picks({"age": "71", "sex": "F"}), picks({"age": "n/a", "sex": "F"})
    (True, False)
    """
    names = tuple(columns)
    groups = [
        [_clause(part, names) for part in re.split(r"\band\b|&", group, flags=re.I)]
        for group in re.split(r"\bor\b|\|", text, flags=re.I)
    ]
    return lambda row: any(all(one(row) for one in group) for group in groups)


def _clause(text: str, columns: tuple[str, ...]) -> Picks:
    match = _CLAUSE.match(text)
    if match is None:
        return _words(text)
    name, sign, wanted = match.groups()
    column = find_column(columns, (name.lower(),))
    if column is None:
        raise ConfigError(
            f"There is no column '{name}'. There are {', '.join(sorted(columns))}."
        )
    wanted = wanted.strip("\"'")
    if sign in _ORDER:
        return _ordered(column, sign, wanted)
    if sign == "~":
        return lambda row: wanted.lower() in row.get(column, "").lower()
    same = _equal(column, wanted)
    return same if sign != "!=" else lambda row: not same(row)


def _words(text: str) -> Picks:
    words = text.lower().split()

    def picks(row: Mapping[str, str]) -> bool:
        everything = "\n".join(row.values()).lower()
        return all(word in everything for word in words)

    return picks


def _ordered(column: str, sign: str, wanted: str) -> Picks:
    limit = number_of(wanted)
    if limit is None:
        raise ConfigError(f"'{column} {sign}' needs a number, not '{wanted}'.")
    compare = _ORDER[sign]

    def picks(row: Mapping[str, str]) -> bool:
        value = number_of(row.get(column, ""))
        return value is not None and compare(value, limit)

    return picks


def _equal(column: str, wanted: str) -> Picks:
    """Compare as numbers where both are, so that 60 is 60.0."""
    number = number_of(wanted)

    def picks(row: Mapping[str, str]) -> bool:
        text = row.get(column, "").lower()
        if wanted.lower() in MISSING_VALUES:
            return text in MISSING_VALUES
        value = number_of(text)
        if number is not None and value is not None:
            return value == number
        return text == wanted.lower()

    return picks


def number_of(text: str) -> float | None:
    """Return the finite number a text is, or None.

    Examples
    --------
    >>> number_of("61.5"), number_of("n/a"), number_of("nan")
    (61.5, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
