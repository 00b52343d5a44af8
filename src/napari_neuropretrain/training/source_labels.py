"""Labels of a source, as the options of a method want them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.progress import Failure, Progress, Report
from napari_neuropretrain.synthesis.source import VolumeSource

_SHOWN = 8


def source_labels(
    source: VolumeSource, options: Config, report: Report
) -> tuple[list[float], int, tuple[Failure, ...]]:
    """Return one label for each volume, as a method's options ask for.

    Parameters
    ----------
    source
        Gives numbers, and words as numbers.
    options
        Of a method. With ``label``, and ``kind``: ``regression``, ``classes``, or
        ``binary`` with the values of ``positive`` and ``negative``; without a kind,
        the label is a number.
    report
        Hears how many volumes belong to neither group.

    Returns
    -------
    labels
        By index of the volume; not a number where it has none.
    classes
        How many there are, of kind ``classes``; else 0.
    failures
        Volumes that should have had a label.

    Raises
    ------
    CohortError
        If the source has no such label, or nobody is in one of two groups.
    """
    name, kind = str(getattr(options, "label", "")), getattr(options, "kind", "")
    words = source.classes(name)
    given = [source.label(index, name) for index in range(len(source))]
    known = [math.nan if one is None else one for one in given]
    failures = tuple(
        Failure(source.ids[index], f"no value in column '{name}'")
        for index, one in enumerate(given)
        if one is None
    )
    if kind == "binary":
        known = _two_groups(known, words, options, name)
        if others := sum(map(math.isnan, known)) - len(failures):
            message = f"{others} volumes belong to neither group and are left out."
            report(Progress("warning", message))
    elif kind == "classes":
        _check_classes(words, name)
    elif words:
        raise CohortError(
            f"The label '{name}' must be a number, but its values are "
            f"{_quoted(words)}. Choose another label, or learn groups (method "
            "supervised, kind binary or classes)."
        )
    return known, len(words) if kind == "classes" else 0, failures


def _two_groups(
    numbers: Sequence[float], words: Sequence[str], options: Config, name: str
) -> list[float]:
    """Turn words, or numbers that stand for groups, into 1 and 0."""
    texts = ["" if math.isnan(one) else _text(one, words) for one in numbers]
    groups: dict[str, float] = {}
    for label, wanted in ((1.0, "positive"), (0.0, "negative")):
        values = {str(one).strip().lower() for one in getattr(options, wanted)}
        if both := values & groups.keys():
            raise CohortError(
                f"{_quoted(both)} cannot be both a positive and a negative value of "
                f"the label '{name}'."
            )
        if not values & set(texts):
            raise CohortError(
                f"No volume has a {wanted} value ({_quoted(values)}) of the label "
                f"'{name}'. The values are {_quoted(one for one in texts if one)}."
            )
        groups |= dict.fromkeys(values, label)
    return [groups.get(text, math.nan) for text in texts]


def _check_classes(words: Sequence[str], name: str) -> None:
    if len(words) < 2:
        there = f"only {_quoted(words)}" if words else "numbers"
        raise CohortError(
            f"The label '{name}' has no classes to tell apart: {there}. Choose another "
            "label, or kind regression for numbers."
        )


def _text(number: float, words: Sequence[str]) -> str:
    return words[int(number)].lower() if words else f"{number:g}"


def _quoted(values: object) -> str:
    listed = sorted(set(values))  # type: ignore[call-overload]
    more = ", …" if len(listed) > _SHOWN else ""
    return ", ".join(map(repr, listed[:_SHOWN])) + more
