"""The settings of a search for good settings, and the space it looks in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import (
    NOTHING,
    Count,
    InputPath,
    Names,
    OutputFolder,
    Seed,
)

Few = Annotated[int, Field(ge=0, le=1000)]


class SearchConfig(Config):
    """Try settings of a fine-tuning, and keep those that are best on validation."""

    base: InputPath
    """YAML file with the settings that all trials share, as finetune takes it."""
    output: OutputFolder
    """Folder for the trials and what they show; running again goes on."""
    space: InputPath = NOTHING
    """YAML file with the settings to vary; -, for those that the paper varied."""
    trials: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Trainings in all; a larger number adds to a finished search."""
    objective: Literal["metric", "loss"] = "metric"
    """What is judged on the validation part: the task's metric, or the loss."""
    sampler: Literal["random", "tpe"] = "random"
    """random, as the paper; tpe tries more where earlier trials were good."""
    pruner: Literal["none", "median", "hyperband"] = "none"
    """Whether a trial that does badly is ended early: below the median of the others
    at the same epoch, or by Hyperband."""
    first_trials: Few = 5
    """Trials before tpe and the median have seen enough to judge."""
    first_epochs: Few = 5
    """Epochs in which no trial is ended."""
    storage: str = ""
    """URL of an Optuna storage, as postgresql://...; empty: SQLite in the output."""
    study: str = ""
    """Name of the search in a storage that others share; machines that work on one
    search give the same."""
    workers: Count = 1
    """Trainings at the same time, each in a process of its own."""
    worker_devices: Names = ()
    """Devices that workers take in turn, as cuda:0,cuda:1; empty: as in the base."""
    seed: Seed = 0
    """Seed of what is tried; that of the trainings is in the base."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.storage and not self.study:
            raise ValueError(
                "study: name the search, since a storage can hold several; machines "
                "that work on one search give the same name"
            )
        return self


class Parameter(Config):
    """The values that one setting may take: a list, or a range."""

    choices: tuple[Any, ...] = ()
    """Values to choose from."""
    low: int | float | None = None
    """Smallest value of a range."""
    high: int | float | None = None
    """Largest value of a range."""
    log: bool = False
    """Draw evenly on a logarithmic scale."""
    step: Annotated[int | float, Field(ge=0)] = 0
    """Distance between values of a range; 0: any value."""
    only: Names = ()
    """Entries of the catalog that it is for, such as backbones; empty: all with it."""

    @model_validator(mode="after")
    def _list_or_range(self) -> Self:
        if self.choices:
            if (self.low, self.high, self.log, self.step) != (None, None, False, 0):
                raise ValueError("give a list of values or a range, not both")
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("give a list of values, or low and high, with low < high")
        if self.log and (self.low <= 0 or self.step):
            raise ValueError("with log, low must be above 0, and step cannot be given")
        return self

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values that must be allowed for all others to be."""
        return self.choices or (self.low, self.high)


def _spread(given: object) -> object:
    """Let a plain list stand for the choices."""
    if isinstance(given, Mapping | Parameter):
        return given
    values = given if isinstance(given, list | tuple) else [given]
    return {"choices": values}


class SearchSpace(Config):
    """Which settings vary, and how."""

    settings: dict[str, Annotated[Parameter, BeforeValidator(_spread)]]
    """By name; an option of an entry is named as in backbone.heads."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.settings:
            raise ValueError("it is empty: name at least one setting and its values")
        return self
