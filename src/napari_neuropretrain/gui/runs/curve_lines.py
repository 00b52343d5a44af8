"""Which lines a plot has: of one run or of several, smoothed or not. No Qt here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_neuropretrain.runs.curves import LOSS, Curves

COLORS = ("#3d8fe0", "#e8902a", "#35a35c", "#b06cc9", "#d0555f", "#7d8a99")
"""Can be told apart, and read on dark and light backgrounds."""


@dataclass(frozen=True)
class Line:
    """What is drawn of a curve.

    Parameters
    ----------
    label
        For the legend.
    epochs, values
        As long as each other.
    color
        As ``#rrggbb``.
    smooth
        The values, smoothed; empty where they are not.
    dashed
        Whether it is dashed: the validation, where several runs are compared.
    best
        Epoch to mark, or None.
    """

    label: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    color: str
    smooth: tuple[float, ...] = ()
    dashed: bool = False
    best: int | None = None

    def at(self, epoch: int) -> float | None:
        """Return the value of an epoch, or None where it has none."""
        known = dict(zip(self.epochs, self.values, strict=True))
        return known.get(epoch)


def lines_of(
    runs: Mapping[str, Curves], title: str, smoothing: float = 0.0
) -> list[Line]:
    """Return the lines of a group of curves.

    Parameters
    ----------
    runs
        Curves by the name of their run; one run, or several that are compared. Of
        one, each curve has a colour; of several, each run has.
    title
        Of the group, for example Loss.
    smoothing
        Weight of what was before, from 0 (none) to under 1.
    """
    lines = []
    for number, (name, curves) in enumerate(runs.items()):
        group = list(curves.groups.get(title, {}).values())
        for place, curve in enumerate(group):
            compared = len(runs) > 1
            color = COLORS[(number if compared else place) % len(COLORS)]
            lines.append(
                Line(
                    f"{name}: {curve.label}".rstrip(": ") if compared else curve.label,
                    tuple(curve.epochs),
                    tuple(curve.values),
                    color,
                    smoothed(curve.values, smoothing) if smoothing else (),
                    compared and place > 0,
                    curves.best if place == len(group) - 1 else None,
                )
            )
    return lines


def titles_of(runs: Sequence[Curves]) -> list[str]:
    """Return the groups of all runs, losses first, the learning rate last."""
    return sorted({title for curves in runs for title in curves.groups}, key=_rank)


def all_positive(runs: Sequence[Curves], title: str) -> bool:
    """Whether a logarithm can be taken."""
    curves = [one for run in runs for one in run.groups.get(title, {}).values()]
    return all(value > 0 for curve in curves for value in curve.values)


def smoothed(values: Sequence[float], weight: float) -> tuple[float, ...]:
    """Return the mean of what was so far, older values counting less and less.

    An exponential moving average without the bias of its start (Kingma and Ba 2015,
    "Adam", section 3).

    Examples
    --------
    >>> smoothed([4, 0, 0], 0.5)
    (4.0, 1.3333333333333333, 0.5714285714285714)
    """
    mean, kept, found = 0.0, 1.0, []
    for value in values:
        mean = weight * mean + (1 - weight) * value
        kept *= weight
        found.append(mean / (1 - kept))
    return tuple(found)


def _rank(title: str) -> tuple[int, str]:
    first = (LOSS, "Probe", "Feature", "Parts")
    last = len(first) + (title == "Learning rate")
    place = (i for i, start in enumerate(first) if title.startswith(start))
    return next(place, last), title
