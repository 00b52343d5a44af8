"""Which of two models is better on the same scans, and how certainly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.evaluation.assessment import (
    Certainty,
    resample_metrics,
)
from napari_neuropretrain.evaluation.bootstrap import (
    Interval,
    bca_interval,
    two_sided_p,
)
from napari_neuropretrain.evaluation.delong import delong_test
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.evaluation.weighted import LOWER_IS_BETTER

COMPARED = {
    "binary": ("roc_auc", "average_precision", "balanced_accuracy", "f1", "brier"),
    "regression": ("mae", "rmse", "r", "r2"),
}


@dataclass(frozen=True)
class Difference:
    """One metric of one model, less that of another on the same scans.

    Parameters
    ----------
    one, other, cohort, metric
        Of what.
    n_participants
        People both models were tested on.
    values
        The metric of both.
    difference, interval
        First less second, and its paired bootstrap interval.
    p
        Two-sided, of the paired bootstrap.
    p_delong
        Of DeLong's test; only for areas under the curve.
    p_holm
        DeLong's p, or else the bootstrap's, corrected for all pairs that were
        compared on the cohort by this metric (Holm 1979).
    """

    one: str
    other: str
    cohort: str
    metric: str
    n_participants: int
    values: tuple[float, float]
    difference: float
    interval: Interval | None
    p: float
    p_delong: float | None = None
    p_holm: float = math.nan

    @property
    def chosen_p(self) -> float:
        """DeLong's p where there is one, else that of the bootstrap."""
        return self.p if self.p_delong is None else self.p_delong


def compare_all(
    models: Sequence[Predictions], certainty: Certainty
) -> tuple[Difference, ...]:
    """Compare every pair of models on a cohort, by every metric.

    Raises
    ------
    CohortError
        If two models have no scan in common, or different labels for one.
    """
    found: list[Difference] = []
    for one, other in combinations(models, 2):
        found += compare(one, other, certainty)
    corrected = list(found)
    for metric in dict.fromkeys(row.metric for row in found):
        rows = [index for index, row in enumerate(found) if row.metric == metric]
        holm = holm_correct([found[index].chosen_p for index in rows])
        for index, p in zip(rows, holm, strict=True):
            corrected[index] = replace(found[index], p_holm=p)
    return tuple(corrected)


def compare(
    one: Predictions, other: Predictions, certainty: Certainty
) -> list[Difference]:
    """Compare two models on the scans that both predicted."""
    one, other = _in_common(one, other)
    first, second = (resample_metrics(each, certainty) for each in (one, other))
    found = []
    for metric in COMPARED[one.kind]:
        values = (first.estimate[metric], second.estimate[metric])
        if not all(math.isfinite(value) for value in values):
            continue
        # The same participants were drawn for both: the difference is paired.
        drawn = first.replicates[metric] - second.replicates[metric]
        left = first.left_out[metric] - second.left_out[metric]
        difference = values[0] - values[1]
        interval = bca_interval(difference, drawn, left, certainty.level)
        tested = None
        if metric == "roc_auc":
            labels, who = one.labels, one.participants
            tested = delong_test(one.values, other.values, labels, who)
        found.append(
            Difference(
                one.model,
                other.model,
                one.cohort,
                metric,
                first.participants,
                values,
                difference,
                interval,
                two_sided_p(drawn),
                None if tested is None or math.isnan(tested.p) else tested.p,
            )
        )
    return found


def _in_common(one: Predictions, other: Predictions) -> tuple[Predictions, Predictions]:
    """Return both with the same scans in the same order."""
    pair = f"'{one.model}' and '{other.model}'"
    if one.kind != other.kind:
        raise CohortError(
            f"{pair} cannot be compared: one predicts groups, the other numbers."
        )
    _, first, second = np.intersect1d(one.scans, other.scans, return_indices=True)
    if not first.size:
        raise CohortError(
            f"{pair} were tested on different scans of '{one.cohort}'. Train them with "
            "the same split file (--splits), or give a cohort to test both on."
        )
    one, other = one.take(first), other.take(second)
    differing = np.flatnonzero(~np.isclose(one.labels, other.labels, atol=1e-4))
    if differing.size:
        scan = one.scans[differing[0]]
        raise CohortError(
            f"{pair} have different labels for {differing.size} scans, for example "
            f"{scan}. Were they trained on different tables, or on shuffled labels?"
        )
    return one, other


def holm_correct(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number: Holm (1979).

    Examples
    --------
    >>> holm_correct([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda index: p[index])
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = highest
    return corrected


def sentence(row: Difference, unit: str = "", level: float = 0.95) -> str:
    """Say in one sentence what beats what, by how much, and how certainly."""
    lower = row.metric in LOWER_IS_BETTER
    better = row.difference < 0 if lower else row.difference > 0
    winner, loser = (row.one, row.other) if better else (row.other, row.one)
    size = f"{abs(row.difference):.3g}{f' {unit}' if unit else ''}"
    name = (
        row.metric.replace("_", " ").replace("roc auc", "ROC-AUC").replace("mae", "MAE")
    )
    p = row.p_holm if math.isfinite(row.p_holm) else row.chosen_p
    test = "bootstrap" if row.p_delong is None else "DeLong"
    limits = "no interval"
    if row.interval is not None:
        low, high = row.interval
        low, high = (-high, -low) if row.difference < 0 else (low, high)
        limits = f"{level:.0%} {low:.3g} to {high:.3g}"
    facts = f"{limits}; {test} p {p:.2g}, {row.n_participants} participants"
    if p < 1 - level:
        return (
            f"On {row.cohort}, {winner} is better than {loser}: its {name} is {size} "
            f"{'lower' if lower else 'higher'} ({facts})."
        )
    return (
        f"On {row.cohort}, {row.one} and {row.other} cannot be told apart: their "
        f"{name} differs by {size} ({facts})."
    )
