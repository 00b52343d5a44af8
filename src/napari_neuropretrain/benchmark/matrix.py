"""From a plan to the trainings it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from napari_neuropretrain.benchmark.cells import Cell, Matrix, Pretraining, Setting
from napari_neuropretrain.config.base import Config, read_yaml
from napari_neuropretrain.config.benchmarking import (
    BenchmarkInitialisation,
    BenchmarkPlan,
    BenchmarkTask,
)
from napari_neuropretrain.config.choice import Choice, choose
from napari_neuropretrain.config.evaluation import EvaluateConfig, SplitConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.data.split_files import SPLITS
from napari_neuropretrain.errors import ConfigError

_OF_THE_CELL = {"cohort", "output", "task", "backbone", "initial_weights", "tuning"}
_OF_THE_CELL |= {"training_fraction", "splits", "fold", "seed", "overwrite"}


def read_plan(path: Path) -> BenchmarkPlan:
    """Read a plan; its relative paths are then absolute.

    Raises
    ------
    ConfigError
        If it is missing, or a setting is wrong.
    """
    plan = BenchmarkPlan.parse(read_yaml(path), f"'{path}'")
    folder = path.absolute().parent
    cohorts = {
        name: one.replace(path=folder / one.path, splits=_under(folder, one.splits))
        for name, one in plan.cohorts.items()
    }
    starts = {
        name: _settings_under(folder, one.replace(weights=_there(folder, one.weights)))
        for name, one in plan.initialisations.items()
    }
    networks = plan.backbones.items()
    found = plan.model_copy(
        update={
            "cohorts": cohorts,
            "initialisations": starts,
            "tasks": {
                name: _settings_under(folder, one) for name, one in plan.tasks.items()
            },
            "backbones": {name: _settings_under(folder, one) for name, one in networks},
            "published": _under(folder, plan.published),
        }
    )
    return _settings_under(folder, found)


def _there(folder: Path, given: str) -> str:
    """Return a path under a folder, if something is there; else what was given."""
    return str(folder / given) if given and (folder / given).exists() else given


_Holder = TypeVar("_Holder", bound=Config)


def _settings_under(folder: Path, holder: _Holder) -> _Holder:
    """Let relative paths in the settings of jobs start at a folder, too."""
    changes: dict[str, Any] = {}
    for field in ("finetune", "pretrain", "evaluate"):
        settings = dict(getattr(holder, field, {}))
        if isinstance(settings.get("regions"), str):
            settings["regions"] = _there(folder, settings["regions"])
        source = settings.get("source")
        if isinstance(source, Mapping) and isinstance(source.get("path"), str):
            path = _there(folder, source["path"])
            settings["source"] = {**source, "path": path}
        if settings:
            changes[field] = settings
    return holder.model_copy(update=changes)


def _under(folder: Path, path: Path) -> Path:
    return path if path == NOTHING else folder / path


def expand(plan: BenchmarkPlan, output: Path) -> Matrix:
    """List the trainings of a plan, with all their settings.

    Parameters
    ----------
    plan
        As `read_plan` returns it.
    output
        Folder of the benchmark.

    Raises
    ------
    ConfigError
        If settings do not fit, or nothing is asked for.
    """
    splits = dict(_splits(plan, output))
    pretrainings = {one.key: one for one in _pretrainings(plan, output)}
    cells = tuple(_cells(plan, output, pretrainings))
    if not cells:
        raise ConfigError(
            "The plan asks for nothing: no backbone is left by the lists `backbones` "
            "and `tasks` of its tasks and initialisations."
        )
    needed = {cell.needs for cell in cells}
    wanted = tuple(one for key, one in pretrainings.items() if key in needed)
    return Matrix(splits, wanted, cells)


def _splits(plan: BenchmarkPlan, output: Path) -> Iterator[tuple[str, SplitConfig]]:
    """Divide each cohort once, so that all trainings on it share the test people."""
    for name, cohort in plan.cohorts.items():
        tasks = [one for one in plan.tasks.values() if one.cohort == name]
        if cohort.splits != NOTHING or not tasks:
            continue
        labels = {cohort.label or one.task.options.label for one in tasks}  # type: ignore[attr-defined]
        values: dict[str, Any] = {"cohort": cohort.path}
        # Tasks with different labels share what the division always looks at.
        values |= {"label": labels.pop() if len(labels) == 1 else ""}
        values |= {"output": output / "splits" / name}
        shared = ("validation_fraction", "test_fraction", "find_repeats")
        given = plan.finetune | tasks[0].finetune
        values |= {key: given[key] for key in shared if key in given}
        yield name, SplitConfig.parse(values, f"cohort '{name}' of the plan")


def split_file(plan: BenchmarkPlan, output: Path, cohort: str) -> Path:
    """Return the file that says who of a cohort is in which part."""
    given = plan.cohorts[cohort].splits
    return given if given != NOTHING else output / "splits" / cohort / SPLITS


def _pretrainings(plan: BenchmarkPlan, output: Path) -> Iterator[Pretraining]:
    trained_on = {one.cohort for one in plan.tasks.values()}
    for (network, backbone), (name, start) in product(
        plan.backbones.items(), plan.initialisations.items()
    ):
        if (
            start.scratch
            or start.weights
            or network not in (start.backbones or [network])
        ):
            continue
        values: dict[str, Any] = {**plan.pretrain, **backbone.pretrain}
        values |= start.pretrain | {"backbone": backbone.backbone}
        values |= {"output": output / "pretrainings" / network / name}
        if start.cohort:
            values["cohort"] = plan.cohorts[start.cohort].path
        if start.cohort in trained_on:
            values["splits"] = split_file(plan, output, start.cohort)
            values["fold"] = plan.cohorts[start.cohort].fold
        source = f"initialisation '{name}' of the plan"
        yield Pretraining(f"{network}/{name}", PretrainConfig.parse(values, source))


def _cells(
    plan: BenchmarkPlan, output: Path, pretrainings: Mapping[str, Pretraining]
) -> Iterator[Cell]:
    judged: set[tuple[str, float, int]] = set()
    for setting, seed, tuning in _wanted(plan):
        task, network = plan.tasks[setting.task], plan.backbones[setting.backbone]
        share = f"{setting.tuning}-{100 * setting.fraction:g}pct-seed{seed}"
        key = "/".join((setting.task, setting.backbone, setting.initialisation, share))
        start = plan.initialisations[setting.initialisation]
        values = {**plan.finetune, **network.finetune, **task.finetune}
        values |= start.finetune
        _refuse_fixed(values)
        # The linear models are the same beside every network: once is enough.
        place = (setting.task, setting.fraction, seed)
        values["baselines"] = values.get("baselines", True) and place not in judged
        judged.add(place)
        needs = "" if start.scratch or start.weights else _needed(setting)
        values |= {
            "task": task.task,
            "backbone": network.backbone,
            "tuning": tuning,
            "training_fraction": setting.fraction,
            "seed": seed,
            "output": output / "cells" / key,
            "initial_weights": str(pretrainings[needs].config.output)
            if needs
            else start.weights,
            **_division(plan, output, task),
        }
        config = FinetuneConfig.parse(values, f"cell '{key}' of the plan")
        tests = _zero_shot(plan, task, config)
        yield Cell(setting, seed, key, task.cohort, config, tests, needs)


def _needed(setting: Setting) -> str:
    return f"{setting.backbone}/{setting.initialisation}"


def _wanted(plan: BenchmarkPlan) -> Iterator[tuple[Setting, int, Choice]]:
    """Yield each combination that the lists of the plan leave."""
    for (name, task), network, (origin, start) in product(
        plan.tasks.items(), plan.backbones, plan.initialisations.items()
    ):
        if network not in (task.backbones or [network]):
            continue
        if not _starts(start, network, name):
            continue
        # What is random and does not learn would say nothing.
        tunings = (choose("tunings", "full"),) if start.scratch else plan.tunings
        fractions = task.training_fractions or plan.training_fractions
        for tuning, share, seed in product(tunings, fractions, plan.seeds):
            yield Setting(name, network, origin, tuning.name, share), seed, tuning


def _starts(start: BenchmarkInitialisation, network: str, task: str) -> bool:
    return network in (start.backbones or [network]) and task in (start.tasks or [task])


def _refuse_fixed(values: Mapping[str, Any]) -> None:
    if fixed := sorted(_OF_THE_CELL & values.keys()):
        raise ConfigError(
            f"finetune: {', '.join(fixed)} cannot be set for all cells; the plan has "
            "its own lists for that."
        )


def _division(plan: BenchmarkPlan, output: Path, task: BenchmarkTask) -> dict[str, Any]:
    cohort = plan.cohorts[task.cohort]
    found: dict[str, Any] = {"cohort": cohort.path, "fold": cohort.fold}
    found |= {"splits": split_file(plan, output, task.cohort)}
    if cohort.label:
        found["label"] = cohort.label
    return found


def _zero_shot(
    plan: BenchmarkPlan, task: BenchmarkTask, config: FinetuneConfig
) -> dict[str, EvaluateConfig]:
    found = {}
    for name in task.zero_shot:
        cohort = plan.cohorts[name]
        values: dict[str, Any] = {"device": config.device, "threads": config.threads}
        values |= {"batch_size": config.batch_size, **plan.evaluate}
        values |= {"model": config.output, "cohorts": [str(cohort.path)]}
        values |= {"output": config.output / "zero_shot" / name, "bootstraps": 0}
        values |= {"permutations": 0, "group_by": [], "label": cohort.label}
        found[name] = EvaluateConfig.parse(values, "evaluate of the plan")
    return found
