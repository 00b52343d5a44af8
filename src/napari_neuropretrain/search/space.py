"""From a space to the settings of one trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna import Trial

from napari_neuropretrain.config.base import read_yaml
from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.choice import Choice
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.searching import Parameter, SearchSpace
from napari_neuropretrain.config.trainings import FinetuneConfig
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.resources import resource_path

PAPER = "searches/paper.yaml"
FIXED = {"cohort", "output", "task", "label", "splits", "fold", "seed"}
FIXED |= {"validation_fraction", "test_fraction", "shuffle_labels", "find_repeats"}
FIXED |= {"allow_leakage", "baselines", "regions", "overwrite", "checkpoint_minutes"}
FIXED |= {"device", "devices", "nodes", "workers", "threads"}
"""What must be the same in all trials: who is judged and by what, and where."""

Values = dict[str, Any]


def read_space(path: Path) -> SearchSpace:
    """Read the settings to vary; those of the paper where nothing is given.

    Raises
    ------
    ConfigError
        If the file cannot be used.
    """
    source = resource_path(PAPER) if path == NOTHING else path
    return SearchSpace.parse({"settings": read_yaml(source)}, f"'{source}'")


def check_space(space: SearchSpace, base: FinetuneConfig) -> None:
    """Check that each setting may vary, and that its values are allowed.

    Raises
    ------
    ConfigError
        If not; names the setting.
    """
    for name, parameter in space.settings.items():
        field, _, option = name.partition(".")
        if field in FIXED:
            raise ConfigError(
                f"space: '{name}' must be the same in all trials, or they could not be "
                f"compared; set it in the base. Fixed are {', '.join(sorted(FIXED))}."
            )
        starts = _starts(space, base, field) if option else [base.model_dump()]
        fitting = [one for one in starts if _applies(name, parameter, one)]
        if option and not fitting and not parameter.only:
            raise ConfigError(f"space: nothing to choose from has the option '{name}'.")
        for start in fitting:
            for value in parameter.extremes:
                values = _with(start, name, value)
                FinetuneConfig.parse(values, f"the space, for '{name}'")


def draw_settings(trial: Trial, space: SearchSpace, base: FinetuneConfig) -> Values:
    """Return the settings of a trial: the base with what the sampler suggests.

    Options of an entry are drawn after the entry, and only where it has them.
    """
    values = base.model_dump(mode="json")
    for name in sorted(space.settings, key=lambda one: "." in one):
        parameter = space.settings[name]
        if _applies(name, parameter, values):
            whole = _is_whole(name, parameter, values)
            values = _with(values, name, _suggest(trial, name, parameter, whole))
    return values


def _suggest(trial: Trial, name: str, parameter: Parameter, whole: bool) -> Any:
    if parameter.choices:
        known = {_label(one): one for one in parameter.choices}
        return known[trial.suggest_categorical(name, list(known))]
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        raise TypeError(f"'{name}' has neither choices nor a range")
    step = parameter.step or None
    if whole:
        whole_step = int(step or 1)
        return trial.suggest_int(
            name, int(low), int(high), step=whole_step, log=parameter.log
        )
    return trial.suggest_float(name, low, high, step=step, log=parameter.log)


def _label(value: Any) -> Any:
    """Return what a storage can keep of a choice."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else json.dumps(value)


def _is_whole(name: str, parameter: Parameter, values: Values) -> bool:
    """Whether the setting is an integer, by what the settings make of `low`."""
    if parameter.choices:
        return False
    config = FinetuneConfig.parse(_with(values, name, parameter.low))
    field, _, option = name.partition(".")
    found = getattr(config, field)
    found = getattr(found.options, option) if option else found
    return isinstance(found, int)


def _starts(space: SearchSpace, base: FinetuneConfig, field: str) -> list[Values]:
    """Return the base with each entry that `field` may have."""
    values = base.model_dump(mode="json")
    varied = space.settings.get(field)
    return [values | {field: one} for one in varied.choices] if varied else [values]


def _applies(name: str, parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Whether a trial with `values` has this setting.

    Raises
    ------
    ConfigError
        If the name has a dot, and the part before it has no entries.
    """
    field, _, option = name.partition(".")
    if not option:
        return True
    config = FinetuneConfig.parse(dict(values), "the space")
    choice = getattr(config, field, None)
    if not isinstance(choice, Choice):
        known = ", ".join(sorted(CATALOGS))
        raise ConfigError(
            f"space: '{name}' names an option of '{field}', which is no entry of a "
            f"catalog ({known}). Write, for example, backbone.heads."
        )
    wanted = not parameter.only or choice.name in parameter.only
    return wanted and option in type(choice.options).model_fields


def _with(values: Mapping[str, Any], name: str, value: Any) -> Values:
    """Return `values` with one setting, or one option of an entry, changed."""
    field, _, option = name.partition(".")
    if not option:
        return {**values, field: value}
    entry = values[field]
    given = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
    return {**values, field: {**given, option: value}}
