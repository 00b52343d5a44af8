"""Mean and spread over seeds, intervals, and whether pre-training helped or hurt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.gather import BASELINE, Seeds
from napari_neuropretrain.evaluation.assessment import (
    PRIMARY,
    Certainty,
    estimator_of,
)
from napari_neuropretrain.evaluation.bootstrap import (
    Estimator,
    Interval,
    Resampled,
    bca_interval,
    resample,
    two_sided_p,
)
from napari_neuropretrain.evaluation.comparison import holm_correct
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.evaluation.weighted import (
    LOWER_IS_BETTER,
    Estimates,
    Numbers,
)

LEVEL_OF_TEST = 0.05
"""Largest p of a single comparison that is called a difference."""
Verdict: TypeAlias = Literal["helped", "no difference shown", "hurt"]


@dataclass(frozen=True)
class Summary:
    """One metric of one setting on one cohort.

    Parameters
    ----------
    mean, sd
        Over seeds; the standard deviation is NaN for one seed.
    interval
        Of the mean, by bootstrap over participants: how it would vary with other
        people, given these networks.
    values
        Of each seed.
    participants
        People they were tested on.
    """

    mean: float
    sd: float
    interval: Interval | None
    values: tuple[float, ...]
    participants: int


@dataclass(frozen=True)
class Transfer:
    """What an initialisation changes, beside the same network from scratch.

    Parameters
    ----------
    setting, cohort, metric
        Of what.
    scratch, started
        The metric of both, as means over the seeds they have in common.
    difference, interval
        Started less scratch, and its paired bootstrap interval.
    p, p_holm
        Two-sided, of the paired bootstrap, and corrected for all transfers (Holm).
    seeds, participants
        How many.
    """

    setting: Setting
    cohort: str
    metric: str
    scratch: float
    started: float
    difference: float
    interval: Interval | None
    p: float
    seeds: int
    participants: int
    p_holm: float = math.nan

    @property
    def gain(self) -> float:
        """The difference, above 0 where the initialisation is better."""
        lower = self.metric in LOWER_IS_BETTER
        return -self.difference if lower else self.difference

    @property
    def negative(self) -> bool:
        """Whether it came out worse than scratch, however certainly."""
        return self.gain < 0

    @property
    def verdict(self) -> Verdict:
        """Whether interval and test agree that there is a difference.

        Both are asked: with few people they can differ, and then neither is sure.
        """
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "no difference shown"
        if self.p > LEVEL_OF_TEST:
            return "no difference shown"
        return "hurt" if self.negative else "helped"


Summaries: TypeAlias = Mapping[tuple[Setting, str], Mapping[str, Summary]]
"""By setting and cohort, metric by name."""


def summarise(seeds: Seeds, certainty: Certainty) -> Summaries:
    """Return every metric of every setting on every cohort."""
    return {
        (setting, cohort): _summary(list(given.values()), certainty)
        for setting, cohorts in seeds.items()
        for cohort, given in cohorts.items()
    }


def _summary(given: Sequence[Predictions], certainty: Certainty) -> dict[str, Summary]:
    """Judge the seeds of one setting; `given` is not empty."""
    drawn = _resampled(given, certainty)
    single = [
        estimator_of(one, certainty.bins)(np.ones((1, one.labels.size)))
        for one in given
    ]
    found = {}
    for name, mean in drawn.estimate.items():
        values = tuple(float(one[name][0]) for one in single)
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        interval = None
        if certainty.bootstraps:
            interval = drawn.interval(name, certainty.level)
        found[name] = Summary(mean, sd, interval, values, drawn.participants)
    return found


def _resampled(given: Sequence[Predictions], certainty: Certainty) -> Resampled:
    """Bootstrap the mean over seeds; a participant is drawn for all seeds at once."""
    people = np.concatenate([one.participants for one in given])
    estimator = mean_estimator(given, certainty.bins)
    return resample(estimator, people, certainty.bootstraps, certainty.seed)


def mean_estimator(given: Sequence[Predictions], bins: int = 10) -> Estimator:
    """Return the mean over seeds of each metric, as a function of weights.

    Parameters
    ----------
    given
        Predictions of each seed.
    bins
        Of the calibration error.

    Returns
    -------
    Estimator
        Takes weights (B, N) on the scans of all seeds, one seed after the other.
    """
    parts = [estimator_of(one, bins) for one in given]
    ends = np.cumsum([one.labels.size for one in given])

    def estimate(weights: Numbers) -> Estimates:
        pieces = np.split(weights, ends[:-1], axis=1)
        each = [part(piece) for part, piece in zip(parts, pieces, strict=True)]
        # A correction of the age bias may be there for some seeds only.
        names = [name for name in each[0] if all(name in one for one in each)]
        return {name: np.mean([one[name] for one in each], axis=0) for name in names}

    return estimate


def find_transfers(seeds: Seeds, certainty: Certainty) -> tuple[Transfer, ...]:
    """Compare every initialisation with scratch: same network, share, seeds, people.

    Parameters
    ----------
    seeds
        All settings; those called scratch are what the others are compared with.
    certainty
        Of the intervals.
    """
    found = []
    for setting, cohorts in seeds.items():
        beside = replace(setting, initialisation="scratch", tuning="full")
        if setting.initialisation in ("scratch", BASELINE) or beside not in seeds:
            continue
        for cohort, given in cohorts.items():
            if one := _transfer(setting, given, seeds[beside].get(cohort), certainty):
                found.append(one)
    holm = holm_correct([one.p for one in found])
    return tuple(replace(one, p_holm=p) for one, p in zip(found, holm, strict=True))


def _transfer(
    setting: Setting,
    given: Mapping[int, Predictions],
    scratch: Mapping[int, Predictions] | None,
    certainty: Certainty,
) -> Transfer | None:
    pairs = list(_pairs(given, scratch or {}))
    if not pairs:
        return None
    started, plain = ([pair[index] for pair in pairs] for index in (0, 1))
    first, second = (_resampled(each, certainty) for each in (started, plain))
    metric = PRIMARY[started[0].kind]
    values = (second.estimate[metric], first.estimate[metric])
    difference = values[1] - values[0]
    # The same people were drawn for both: the difference is paired.
    drawn = first.replicates[metric] - second.replicates[metric]
    left = first.left_out[metric] - second.left_out[metric]
    return Transfer(
        setting,
        started[0].cohort,
        metric,
        *values,
        difference,
        bca_interval(difference, drawn, left, certainty.level),
        two_sided_p(drawn),
        len(pairs),
        first.participants,
    )


def _pairs(
    given: Mapping[int, Predictions], scratch: Mapping[int, Predictions]
) -> Iterable[tuple[Predictions, Predictions]]:
    """Pair equal seeds, and keep the scans that both predicted, in the same order."""
    for seed in sorted(given.keys() & scratch.keys()):
        one, other = given[seed], scratch[seed]
        _, first, second = np.intersect1d(one.scans, other.scans, return_indices=True)
        if first.size:
            yield one.take(first), other.take(second)
