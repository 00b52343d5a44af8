"""What has to be done in a process of its own, and what of it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.evaluation import EvaluateConfig, SplitConfig
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.data.split_files import SPLITS, read_splits
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.runs import (
    CONFIG,
    EXIT_DONE,
    explain_exit,
    read_events,
)

JOB_OF: Mapping[type[Config], str] = {
    SplitConfig: "split",
    PretrainConfig: "pretrain",
    FinetuneConfig: "finetune",
    EvaluateConfig: "evaluate",
    ExplainConfig: "explain",
}
RESULT = {
    "split": "splits.tsv",
    "pretrain": "encoder.json",
    "finetune": "model.json",
    "evaluate": "metrics.json",
    "explain": "group_members.tsv",
}
"""What each job writes last."""
FREE = {
    "cohort",
    "output",
    "splits",
    "workers",
    "threads",
    "device",
    "devices",
    "nodes",
}
FREE |= {"checkpoint_minutes", "channels_last", "checkpointing", "compile", "overwrite"}
FREE |= {
    "trackers",
    "initial_weights",
    "find_repeats",
    "baselines",
    "probe",
    "probe_labels",
}
FREE |= {"probe_every", "probe_volumes", "model", "cohorts", "batch_size_used"}
"""Settings that may differ from those of a finished run."""
LOOK_S = 0.5
LOG = "output.log"
_SHOWN = 4


@dataclass(frozen=True)
class Unit:
    """Steps that follow each other, such as a training and its tests.

    Parameters
    ----------
    key
        Name for people.
    configs
        Settings of each step; the first one is needed by the others.
    """

    key: str
    configs: tuple[Config, ...]

    @property
    def folder(self) -> Path:
        """Run folder of the first step."""
        return output_of(self.configs[0])

    def missing(self) -> tuple[Config, ...]:
        """Return the steps to do: all, or those that are not done after the first."""
        if not is_done(self.configs[0]):
            return self.configs
        return tuple(one for one in self.configs if not is_done(one))


def output_of(config: Config) -> Path:
    """Return the run folder of a step."""
    return Path(getattr(config, "output"))  # noqa: B009 - each of them has it


def is_done(config: Config) -> bool:
    """Whether the run folder of a step holds its result."""
    return (output_of(config) / RESULT[JOB_OF[type(config)]]).is_file()


def changed(config: Config) -> list[str]:
    """Say in what a finished or begun run folder differs from `config`."""
    folder = output_of(config)
    begun = is_done(config) or any(folder.glob("checkpoints/state*.pt"))
    if not begun or not (folder / CONFIG).is_file():
        return []
    before = (
        type(config).from_file(folder / CONFIG).model_dump(mode="json", exclude=FREE)
    )
    now = config.model_dump(mode="json", exclude=FREE)
    found = [
        f"{name} was {json.dumps(before[name])}, now {json.dumps(value)}"
        for name, value in now.items()
        if before[name] != value
    ]
    if isinstance(config, FinetuneConfig) and _divided_otherwise(config):
        found.append("participants were in other parts")
    return found


def _divided_otherwise(config: FinetuneConfig) -> bool:
    """Whether a training had people in another part than its split file says."""
    mine = output_of(config) / SPLITS
    if not mine.is_file() or not Path(config.splits).is_file():
        return False
    parts = {
        key.split("_")[0]: part
        for key, part in read_splits(config.splits, config.fold).items()
    }
    return any(
        parts.get(key.split("_")[0]) != part for key, part in read_splits(mine).items()
    )


def refuse_changes(units: Sequence[Unit]) -> None:
    """Check, before anything runs, that what is there has the settings of the plan.

    Raises
    ------
    ConfigError
        If something has other settings; names the first ones.
    """
    differing = [
        f"{unit.key}: {'; '.join(changes[:_SHOWN])}"
        for unit in units
        if (changes := changed(unit.configs[0]))
    ]
    if differing:
        more = f" (and {len(differing) - 3} more)" if len(differing) > 3 else ""
        raise ConfigError(
            "The output holds trainings with other settings:\n  "
            + "\n  ".join(differing[:3])
            + f"{more}\nGive another output, the settings of before, or overwrite: "
            "true to train those again."
        )


def to_do(units: Sequence[Unit]) -> list[Unit]:
    """Return the units with something to do; what has changed is begun anew."""
    renewed = [_anew(unit) if changed(unit.configs[0]) else unit for unit in units]
    return [unit for unit in renewed if unit.missing()]


def _anew(unit: Unit) -> Unit:
    for config in unit.configs:
        (output_of(config) / RESULT[JOB_OF[type(config)]]).unlink(missing_ok=True)
    first = unit.configs[0]
    if "overwrite" in type(first).model_fields:
        first = first.replace(overwrite=True)
    return Unit(unit.key, (first, *unit.configs[1:]))


Step = tuple[str, dict[str, Any]]


def failures_of(unit: Unit, code: int) -> list[tuple[str, str]]:
    """Return what of a unit is not done, and why, after its process ended."""
    found = []
    for config in unit.configs:
        if is_done(config):
            continue
        folder = output_of(config)
        events, _ = read_events(folder)
        last = events[-1] if events else {}
        if last.get("state") == "failed":
            reason = str(last.get("message"))
        elif code == EXIT_DONE:
            reason = "It left no result."
        else:
            reason = f"{explain_exit(code)} ({folder / LOG})"
        job = JOB_OF[type(config)]
        name = unit.key if config is unit.configs[0] else f"{unit.key}, {folder.name}"
        found.append((f"{name} ({job})", reason))
        if config is unit.configs[0]:
            break
    return found
