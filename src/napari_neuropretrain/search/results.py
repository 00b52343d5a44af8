"""What the trials show: a table, the best settings, and a sentence."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.search.study import counted
from napari_neuropretrain.search.trial import Goal
from napari_neuropretrain.search.workers import FOLDER, REASON, SETTINGS

_PLACES = {"cohort", "splits", "regions", "baselines", "workers", "threads"}
_PLACES |= {"device", "devices", "nodes"}
TABLE, BEST, SUMMARY = "trials.tsv", "best.yaml", "search.json"
_NAMES = {TrialState.COMPLETE: "done", TrialState.PRUNED: "ended early"}
_NAMES |= {TrialState.FAIL: "failed", TrialState.RUNNING: "running"}
_NAMES |= {TrialState.WAITING: "waiting"}


@dataclass(frozen=True)
class Found:
    """What a search found.

    Parameters
    ----------
    trials
        All but those that were begun again, by number.
    done
        Those that were trained to the end.
    best
        The best of those.
    goal
        What they were judged by.
    """

    trials: Sequence[FrozenTrial]
    done: Sequence[FrozenTrial]
    best: FrozenTrial
    goal: Goal

    @property
    def median(self) -> float:
        """Median value of the trials that were trained to the end."""
        return statistics.median(value_of(one) for one in self.done)

    @property
    def gain(self) -> float:
        """By how much the best is better than the median; never negative."""
        return abs(value_of(self.best) - self.median)

    def statement(self) -> str:
        """Say what was found, and how far that can be believed."""
        count = len(self.done)
        value = f"validation {self.goal.name} {value_of(self.best):.4g}"
        first = f"Best of {count} trials: number {self.best.number}, {value}."
        if count == 1:
            return f"{first} One trial alone shows nothing of what matters."
        return (
            f"{first} The median is {self.median:.4g}: the best is better by "
            f"{self.gain:.3g}. Part of that is chance: it is the best of {count} on "
            "the same validation participants, so expect less of other people. Only "
            "a training with these settings says how good it is on the test part."
        )


def value_of(trial: FrozenTrial) -> float:
    """Return the value of a trial; for one that ended early its last; else NaN."""
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return trial.value
    if trial.state == TrialState.PRUNED and trial.intermediate_values:
        return trial.intermediate_values[max(trial.intermediate_values)]
    return math.nan


def find(study: Study, goal: Goal) -> Found:
    """Return what the study holds.

    Raises
    ------
    NeuropretrainError
        If no trial was trained to the end; gives the first reasons.
    """
    trials = counted(study)
    done = [one for one in trials if one.state == TrialState.COMPLETE]
    if not done:
        reasons = [
            f"trial {one.number}: {one.user_attrs[REASON]}"
            for one in trials
            if REASON in one.user_attrs
        ]
        raise NeuropretrainError(
            f"No trial was trained to the end. {'; '.join(reasons[:3])}"
        )
    best = (max if goal.maximise else min)(done, key=value_of)
    return Found(trials, done, best, goal)


def write_results(output: Path, found: Found, base: FinetuneConfig) -> dict[str, Path]:
    """Write the table, the best settings and a summary; return each by its kind."""
    paths = {"trials": output / TABLE, "best": output / BEST}
    paths |= {"search": output / SUMMARY}
    write_text(paths["trials"], _table(found))
    write_text(paths["best"], _best(output, found, base))
    summary = {
        "objective": f"validation {found.goal.name}",
        "best_trial": found.best.number,
        "best_value": value_of(found.best),
        "median_value": found.median,
        "trials": len(found.trials),
        "done": len(found.done),
        "parameters": found.best.params,
        "statement": found.statement(),
    }
    write_text(paths["search"], json.dumps(summary, indent=2) + "\n")
    return paths


def _best(output: Path, found: Found, base: FinetuneConfig) -> str:
    """Return the best settings as ``finetune --config`` takes them."""
    settings: dict[str, Any] = dict(found.best.user_attrs[SETTINGS])
    # What the trials left out, and where this one goes: the best trial may have been
    # on another machine.
    settings |= base.model_dump(mode="json", include=_PLACES)
    settings |= {"output": output.absolute() / "best"}
    config = FinetuneConfig.parse(settings, "the best trial")
    said = textwrap.fill(
        found.statement(), 90, initial_indent="# ", subsequent_indent="# "
    )
    return f"{said}\n{config.to_yaml()}"


def _table(found: Found) -> str:
    names = list(dict.fromkeys(key for one in found.trials for key in one.params))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    head = ["trial", "state", found.goal.name, "epochs", "best_epoch", "seconds"]
    writer.writerow([*head, *names, "folder", "reason"])
    for one in found.trials:
        attributes = one.user_attrs
        row: list[Any] = [one.number, _NAMES[one.state], _shown(value_of(one))]
        row.append(attributes.get("epochs", max(one.intermediate_values, default="")))
        row += [attributes.get("best_epoch", ""), _seconds(one)]
        row += [_shown(one.params.get(name, "")) for name in names]
        row += [attributes.get(FOLDER, ""), attributes.get(REASON, "")]
        writer.writerow(["n/a" if cell == "" else _line(cell) for cell in row])
    return text.getvalue()


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


def _line(cell: Any) -> str:
    return " ".join(str(cell).split())


def _seconds(trial: FrozenTrial) -> str:
    return f"{trial.duration.total_seconds():.1f}" if trial.duration else ""
