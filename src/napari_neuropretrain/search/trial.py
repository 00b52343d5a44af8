"""One trial: a fine-tuning in a process of its own, watched epoch by epoch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna import Trial

from napari_neuropretrain.benchmark.launching import launch, order_of
from napari_neuropretrain.benchmark.steps import Unit, failures_of, is_done
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.runs import EXIT_STOPPED, STOP, read_events
from napari_neuropretrain.runs.folder import PAUSE
from napari_neuropretrain.search.study import BEAT, BEAT_S


@dataclass(frozen=True)
class Goal:
    """What trials are judged by, on the validation part.

    Parameters
    ----------
    name
        A value of the training's epoch events.
    maximise
        Whether larger is better.
    """

    name: str
    maximise: bool


class Interrupted(Exception):
    """The search was asked to stop while the trial ran."""


class Watch:
    """Read the epochs of a training as it runs, and tell the trial of them.

    Parameters
    ----------
    folder
        Run folder of the training.
    trial
        Hears of each epoch, and says whether to go on.
    goal
        Which value it hears of.
    output
        Folder of the search: while that is paused, the training is.
    """

    def __init__(self, folder: Path, trial: Trial, goal: Goal, output: Path) -> None:
        self._folder = folder
        self._pause = output / PAUSE
        self._trial = trial
        self._goal = goal
        self._offset = 0
        self._beaten = 0.0
        self.epochs: dict[int, dict[str, Any]] = {}

    def look(self) -> None:
        """Read what is new; raise `optuna.TrialPruned` if it is not worth going on."""
        if time.monotonic() - self._beaten > BEAT_S:
            self._beaten = time.monotonic()
            self._trial.set_user_attr(BEAT, time.time())
        self._rest_with_the_search()
        if self.read() and self._trial.should_prune():
            raise optuna.TrialPruned(f"after {max(self.epochs)} epochs")

    def _rest_with_the_search(self) -> None:
        mine = self._folder / PAUSE
        if self._pause.exists() and self._folder.is_dir():
            mine.touch()
        else:
            mine.unlink(missing_ok=True)

    def read(self) -> bool:
        """Read the new epochs; return whether there are any."""
        events, self._offset = read_events(self._folder, self._offset)
        new = False
        for event in events:
            if event["state"] != "epoch":
                continue
            values = event["values"]
            # After an interruption an epoch can come twice.
            if values["epoch"] not in self.epochs:
                self._trial.report(values[self._goal.name], values["epoch"])
                new = True
            self.epochs[values["epoch"]] = values
        return new

    def best(self) -> dict[str, Any]:
        """Return the last epoch whose weights were kept: that of the least loss."""
        found = [one for one in self.epochs.values() if one["best"]]
        if not found:
            raise NeuropretrainError("No epoch had a finite validation loss.")
        return found[-1]


def run_trial(
    trial: Trial, config: FinetuneConfig, goal: Goal, output: Path, device: str
) -> float:
    """Train with the settings of a trial; return its value on the validation part.

    The value is that of the epoch whose weights are kept. The test part is not looked
    at: nothing of it is read here.

    Parameters
    ----------
    trial
        Hears of the epochs.
    config
        Settings, with the run folder.
    goal
        What it is judged by.
    output
        Folder of the search, with its stop file.
    device
        Where to train, in place of what the settings say; empty: as they say.

    Raises
    ------
    optuna.TrialPruned
        If the pruner ended it.
    Interrupted
        If the search was asked to stop; a checkpoint is kept.
    NeuropretrainError
        If the training failed; says why.
    """
    unit = Unit(f"trial {trial.number}", (config,))
    watch = Watch(Path(config.output), trial, goal, output)
    if not is_done(config):
        code = launch(order_of(unit, output), device, watch.look)
        if code == EXIT_STOPPED and (output / STOP).exists():
            raise Interrupted
        if lost := failures_of(unit, code):
            raise NeuropretrainError(lost[0][1])
    watch.read()
    best = watch.best()
    trial.set_user_attr("best_epoch", best["epoch"])
    trial.set_user_attr("epochs", max(watch.epochs))
    value = float(best[goal.name])
    if not math.isfinite(value):
        raise NeuropretrainError(f"{goal.name} is {value} on the validation part.")
    return value
