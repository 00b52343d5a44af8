"""The study: the trials of a search, in a storage that processes can share."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna import Study
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from napari_neuropretrain.config.searching import SearchConfig
from napari_neuropretrain.errors import ConfigError

DATABASE, STUDY = "search.db", "search"
BEAT, PLACE, AGAIN = "beat", "place", "again_of"
"""Attributes of a trial: when it last gave a sign, where, and which one it repeats."""
BEAT_S, SILENT_S = 20.0, 180.0
_SAME_S = 2.0
_DIRECTION = {True: StudyDirection.MAXIMIZE, False: StudyDirection.MINIMIZE}


def open_study(
    config: SearchConfig, maximise: bool, settings: Mapping[str, Any]
) -> Study:
    """Open the study of a search, or begin it.

    Parameters
    ----------
    config
        Storage and name.
    maximise
        Whether larger values are better.
    settings
        What all trials share; must be as before.

    Raises
    ------
    ConfigError
        If the storage cannot be used, or the study has trials of other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = config.storage or f"sqlite:///{(config.output / DATABASE).as_posix()}"
    try:
        study = optuna.create_study(
            storage=_storage(url),
            study_name=config.study or STUDY,
            direction=_DIRECTION[maximise],
            load_if_exists=True,
        )
    except (ArgumentError, SQLAlchemyError, ImportError, ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"storage: '{_without_password(url)}' cannot be used ({first}). Give a URL "
            "such as sqlite:///search.db, postgresql://user@host/name or "
            "redis://host:6379, and install the driver that it needs."
        ) from error
    _check_same(study, settings)
    return study


def _storage(url: str) -> BaseStorage:
    if url.startswith("redis"):
        from optuna.storages.journal import JournalRedisBackend

        return JournalStorage(JournalRedisBackend(url))
    # Several processes may write at the same time: wait for each other.
    patient = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    return RDBStorage(url, engine_kwargs=patient)


def _without_password(url: str) -> str:
    """Return a URL without what stands between its user's name and its host.

    Examples
    --------
    >>> _without_password("mysql://me:secret@host/name")
    'mysql://me:...@host/name'
    """
    scheme, mark, rest = url.partition("://")
    access, at, place = rest.rpartition("@")
    user, colon, _ = access.partition(":")
    return f"{scheme}{mark}{user}{':...' if colon else ''}{at}{place}"


def _check_same(study: Study, settings: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(settings))
    before = study.user_attrs.get("settings", now)
    changed = [
        f"{name} was {json.dumps(before.get(name))}, now {json.dumps(now.get(name))}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise ConfigError(
            f"The search '{study.study_name}' has trials of other settings: "
            f"{'; '.join(changed[:4])}. Give another output (or study), or the "
            "settings of before."
        )
    study.set_user_attr("settings", now)


def here() -> list[Any]:
    """Return what tells this process: machine, number and when it began."""
    began = psutil.Process().create_time()
    return [socket.gethostname(), os.getpid(), began]


def queue_lost(study: Study) -> int:
    """Queue again the trials that nobody works on any more; return how many.

    A trial is lost when its process on this machine is gone, or when it gave no sign
    for `SILENT_S`.
    """
    lost = [
        one
        for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if _is_lost(one)
    ]
    return sum(queue_again(study, one) for one in lost)


def queue_again(study: Study, trial: FrozenTrial) -> bool:
    """End a running trial, and queue one with the same settings and folder."""
    try:
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, RuntimeError):
        return False  # another process was faster
    kept = {key: value for key, value in trial.user_attrs.items() if key != PLACE}
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={**kept, AGAIN: trial.number},
        )
    )
    return True


def _is_lost(trial: FrozenTrial) -> bool:
    host, pid, began = trial.user_attrs.get(PLACE, ["", 0, 0])
    if host == socket.gethostname():
        with suppress(psutil.Error):
            return bool(abs(psutil.Process(pid).create_time() - began) > _SAME_S)
        return True
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return time.time() - float(trial.user_attrs.get(BEAT, started)) > SILENT_S


def counted(study: Study) -> list[FrozenTrial]:
    """Return the trials but those that were begun again under another number."""
    trials: Sequence[FrozenTrial] = study.get_trials(deepcopy=False)
    repeated = {one.user_attrs.get(AGAIN) for one in trials}
    return [one for one in trials if one.number not in repeated]


def folder_of(trial: FrozenTrial, output: Path) -> Path:
    """Return the run folder of a trial: a new one, or that of the one it repeats."""
    known = trial.user_attrs.get("folder", "")
    if known and Path(known).is_dir():
        return Path(known)
    return output.absolute() / "trials" / f"{trial.number:04d}"
