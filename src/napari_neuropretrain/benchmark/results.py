"""What tables, figures and report are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_neuropretrain.benchmark.cells import Setting
from napari_neuropretrain.benchmark.gather import Seeds, Trained
from napari_neuropretrain.benchmark.published import Place, Published
from napari_neuropretrain.benchmark.summary import Summaries, Transfer
from napari_neuropretrain.config.benchmarking import BenchmarkPlan
from napari_neuropretrain.evaluation.predictions import Kind

TITLES = {"roc_auc": "ROC-AUC", "mae": "MAE", "rmse": "RMSE", "r2": "R²"}
"""How metrics are written; the others by their own name."""
DIGITS = {"mae": 2, "rmse": 2}
"""Decimals of metrics with a unit; the others have 3."""


def number_text(value: float, metric: str) -> str:
    """Write a metric with its decimals.

    Examples
    --------
    >>> number_text(4.8371, "mae"), number_text(0.9, "roc_auc")
    ('4.84', '0.900')
    """
    return "n/a" if value != value else f"{value:.{DIGITS.get(metric, 3)}f}"


@dataclass(frozen=True, eq=False)
class Results:
    """What tables, figures and report are made from.

    Parameters
    ----------
    plan
        What was asked for.
    trained
        Finished cells.
    seeds
        Their predictions, and those of the linear models beside them.
    summaries, transfers
        What came out.
    published
        Numbers in print.
    kinds, units
        By task.
    level
        Of the intervals.
    """

    plan: BenchmarkPlan
    trained: tuple[Trained, ...]
    seeds: Seeds
    summaries: Summaries
    transfers: tuple[Transfer, ...]
    published: Mapping[Place, Published]
    kinds: Mapping[str, Kind]
    units: Mapping[str, str]
    level: float = 0.95

    def settings(self, task: str, fraction: float | None = None) -> list[Setting]:
        """Return the settings of a task, at one share of the training part."""
        found = dict.fromkeys(setting for setting, _ in self.summaries)
        return [
            one
            for one in found
            if one.task == task and (fraction is None or one.fraction == fraction)
        ]

    def cohorts(self, task: str) -> tuple[str, ...]:
        """Return the cohorts a task is tested on: its own, then the others."""
        given = self.plan.tasks[task]
        return (given.cohort, *given.zero_shot)

    def fractions(self, task: str) -> tuple[float, ...]:
        """Return the shares of the training part, the largest first."""
        given = self.plan.tasks[task].training_fractions
        return tuple(sorted(given or self.plan.training_fractions, reverse=True))

    def printed(self, setting: Setting, cohort: str, metric: str) -> Published | None:
        """Return the published number of a setting, where there is one."""
        one = setting
        place = (one.task, one.backbone, one.initialisation, one.fraction)
        return self.published.get((*place, cohort, metric))

    def transfer(self, setting: Setting, cohort: str) -> Transfer | None:
        """Return the comparison with scratch, where there is one."""
        for one in self.transfers:
            if (one.setting, one.cohort) == (setting, cohort):
                return one
        return None

    def tasks(self) -> list[str]:
        """Return the tasks of which something is finished."""
        return [name for name in self.plan.tasks if name in self.kinds]
