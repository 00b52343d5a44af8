"""Run trials, several at a time, until there are enough.

Each worker is a thread that starts one process after the other and waits for it.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna import Study, Trial
from optuna.trial import TrialState

from napari_neuropretrain.config.searching import SearchConfig, SearchSpace
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.progress import Progress, Report, State
from napari_neuropretrain.runs import STOP
from napari_neuropretrain.runs.folder import PAUSE
from napari_neuropretrain.search.space import draw_settings
from napari_neuropretrain.search.study import (
    PLACE,
    counted,
    folder_of,
    here,
    queue_again,
    queue_lost,
)
from napari_neuropretrain.search.trial import Goal, Interrupted, run_trial

REASON, SETTINGS, FOLDER = "reason", "settings", "folder"
_LOOK_S = 2.0


@dataclass(frozen=True)
class Search:
    """What the workers share.

    Parameters
    ----------
    config
        Of the job.
    base, space, goal
        What is tried, and what it is judged by.
    study
        The trials.
    """

    config: SearchConfig
    base: FinetuneConfig
    space: SearchSpace
    goal: Goal
    study: Study
    said: queue.Queue[Progress] = field(default_factory=queue.Queue)
    lock: threading.Lock = field(default_factory=threading.Lock)


def run_trials(search: Search, report: Report) -> None:
    """Run trials until there are as many as the settings ask for.

    Raises
    ------
    Cancelled
        If the report raised it; the trials that ran keep their checkpoints, and the
        next search goes on with them.
    """
    config = search.config
    devices = config.worker_devices or ("",)
    threads = [
        threading.Thread(
            target=_work, args=(search, devices[number % len(devices)]), daemon=True
        )
        for number in range(min(config.workers, config.trials))
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            _tell(search, report)
            report(Progress("heartbeat"))
            threads[0].join(_LOOK_S)
            for thread in threads[1:]:
                thread.join(0.05)
    except BaseException:
        (config.output / STOP).touch()
        for thread in threads:
            thread.join()
        raise
    _tell(search, report)


def _tell(search: Search, report: Report) -> None:
    while not search.said.empty():
        report(search.said.get())


def _work(search: Search, device: str) -> None:
    """Run one trial after the other; anything unforeseen ends all workers."""
    try:
        while (trial := _next(search)) is not None:
            _run(search, trial, device)
    except Exception as error:
        (search.config.output / STOP).touch()
        message = f"A worker ended: {type(error).__name__}: {error}"
        search.said.put(Progress("warning", message))
        raise


def _next(search: Search) -> Trial | None:
    """Return the next trial: one that was interrupted, or a new one."""
    output = search.config.output
    while (output / PAUSE).exists() and not (output / STOP).exists():
        time.sleep(_LOOK_S)
    with search.lock:
        if (output / STOP).exists():
            return None
        queue_lost(search.study)
        known = [
            one for one in counted(search.study) if one.state != TrialState.WAITING
        ]
        if len(known) >= search.config.trials:
            return None
        trial = search.study.ask()
        trial.set_user_attr(PLACE, here())
        trial.set_user_attr(FOLDER, str(folder_of(_frozen(search, trial), output)))
        return trial


def _frozen(search: Search, trial: Trial) -> optuna.trial.FrozenTrial:
    return search.study.get_trials(deepcopy=False)[trial.number]


def _run(search: Search, trial: Trial, device: str) -> None:
    """Run one trial, and tell the study how it ended."""
    study = search.study
    try:
        config = _settings(search, trial)
        value = run_trial(trial, config, search.goal, search.config.output, device)
    except optuna.TrialPruned as pruned:
        study.tell(trial, state=TrialState.PRUNED)
        _say(search, "item_done", f"Trial {trial.number} ended early, {pruned}")
    except Interrupted:
        queue_again(study, _frozen(search, trial))
    except NeuropretrainError as error:
        trial.set_user_attr(REASON, str(error))
        study.tell(trial, state=TrialState.FAIL)
        _say(search, "item_failed", f"Trial {trial.number}: {error}")
    else:
        study.tell(trial, value)
        shown = f"{search.goal.name} {value:.4g} (best {study.best_value:.4g})"
        _say(search, "item_done", f"Trial {trial.number}: {shown}")


def _settings(search: Search, trial: Trial) -> FinetuneConfig:
    """Draw the settings of a trial, and keep them with it.

    Raises
    ------
    ConfigError
        If the values do not go together.
    """
    with search.lock:
        drawn = draw_settings(trial, search.space, search.base)
    folder = Path(trial.user_attrs[FOLDER])
    # The linear models are the same beside every trial.
    drawn |= {"output": folder, "baselines": False, "overwrite": False}
    config = FinetuneConfig.parse(drawn, f"trial {trial.number}")
    trial.set_user_attr(SETTINGS, config.model_dump(mode="json"))
    return config


def _say(search: Search, state: State, message: str) -> None:
    done = sum(one.state.is_finished() for one in counted(search.study))
    search.said.put(Progress(state, message, done, search.config.trials))
