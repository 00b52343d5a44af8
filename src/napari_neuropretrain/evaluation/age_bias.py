"""The age bias of predicted ages, and its correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_SCANS = 10
"""Fewer validation scans give no line worth using."""


@dataclass(frozen=True)
class AgeBias:
    """A line through the gaps (prediction less label) over the label.

    Networks draw predictions towards the mean: the young are taken for older, the old
    for younger. Beheshti et al. (2019, NeuroImage Clinical 24:102063) take the line of
    the gaps off; de Lange and Cole (2020, NeuroImage Clinical 26:102229) fit the
    predictions instead, which is the same: their slope is this one plus 1.

    The correction needs the true label. It serves comparisons of gaps between groups;
    a smaller error after it is no better prediction (Butler et al. 2021).

    Parameters
    ----------
    slope, intercept
        Of the line, in units of the label.
    n
        Validation scans it was fitted to.
    """

    slope: float
    intercept: float
    n: int

    def correct(self, predictions: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
        """Return predictions (N,) less the gap that is usual at each label (N,).

        Examples
        --------
        >>> AgeBias(-0.5, 30.0, 40).correct([65.0], [80.0]).tolist()
        [75.0]
        """
        given, label = np.asarray(predictions, float), np.asarray(labels, float)
        corrected: NDArray[np.float64] = given - (self.slope * label + self.intercept)
        return corrected


def fit_age_bias(predictions: ArrayLike, labels: ArrayLike) -> AgeBias | None:
    """Fit the line by least squares, to validation scans only.

    Returns
    -------
    AgeBias or None
        None for fewer than `LEAST_SCANS` scans, or labels that are all the same.
    """
    given, label = np.asarray(predictions, float), np.asarray(labels, float)
    if label.size < LEAST_SCANS or np.ptp(label) == 0:
        return None
    centred = label - label.mean()
    gap = given - label
    slope = float(centred @ gap / (centred @ centred))
    return AgeBias(slope, float(gap.mean() - slope * label.mean()), int(label.size))
