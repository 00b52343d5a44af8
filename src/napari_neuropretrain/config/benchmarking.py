"""The settings of a benchmark, and the plan of what it compares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.choice import BackboneChoice, TaskChoice, TuningChoice
from napari_neuropretrain.config.evaluation import Samples
from napari_neuropretrain.config.fields import (
    NOTHING,
    Count,
    InputPath,
    Names,
    OutputFolder,
    Seed,
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
"""Of a cohort, backbone, initialisation or task of a plan: also a folder's name."""
Settings = dict[str, Any]
Share = Annotated[float, Field(gt=0, le=1)]


class BenchmarkConfig(Config):
    """Train and test every cell of a plan, and write tables, figures and a report."""

    plan: InputPath
    """YAML file that declares cohorts, backbones, initialisations, tasks and seeds."""
    output: OutputFolder
    """Folder for all of it; running again does only what is missing."""
    workers: Count = 1
    """Trainings at the same time, each in a process of its own."""
    worker_devices: Names = ()
    """Devices that workers take in turn, as cuda:0,cuda:1; empty: as in the plan."""
    scheduler: Annotated[str, Field(pattern=r"^((tcp|tls)://\S+:\d+)?$")] = ""
    """Address of a Dask scheduler, as tcp://host:8786; empty means this machine."""
    bootstraps: Samples = 2000
    """Samples of the bootstrap over participants."""
    overwrite: bool = False
    """Train those cells again whose settings have changed; else they are an error."""


def _spread(field: str) -> BeforeValidator:
    """Let a plain value, or an entry with its options, stand for `field`."""

    def read(given: object) -> object:
        if given is None:
            return {}
        plain = not isinstance(given, Mapping) or "name" in given
        return {field: given} if plain and not isinstance(given, Config) else given

    return BeforeValidator(read)


class BenchmarkCohort(Config):
    """Preprocessed people to train on or to test on."""

    path: Path
    """A derivatives folder; relative paths start at the plan's folder."""
    splits: Path = NOTHING
    """A split file; -, to divide once for all trainings."""
    fold: Annotated[int, Field(ge=0, le=1000)] = 0
    """Fold of the split file to test on, from 1; 0 where it has no folds."""
    label: str = ""
    """Column with the label, where it is not that of the task."""


class BenchmarkBackbone(Config):
    """A network, with settings of its own."""

    backbone: BackboneChoice
    """Entry of the catalog."""
    finetune: Settings = Field(default_factory=dict)
    """Settings of its fine-tunings."""
    pretrain: Settings = Field(default_factory=dict)
    """Settings of its pre-trainings."""


class BenchmarkInitialisation(Config):
    """Where networks start: from scratch, from weights, or from a pre-training."""

    weights: str = ""
    """Known weights, an imported file or a run folder."""
    pretrain: Settings = Field(default_factory=dict)
    """Settings of a pre-training, which is done once for each backbone."""
    cohort: str = ""
    """Cohort of the plan to pre-train on; its test participants are left out."""
    backbones: Names = ()
    """Backbones that start so; empty: all."""
    tasks: Names = ()
    """Tasks that start so; empty: all."""
    finetune: Settings = Field(default_factory=dict)
    """Settings of the fine-tunings that start so."""

    @property
    def scratch(self) -> bool:
        """Whether there are no weights to start from."""
        return not (self.weights or self.pretrain or self.cohort)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.weights and (self.pretrain or self.cohort):
            raise ValueError(
                "give weights or a pre-training, not both; a pre-training can start "
                "from weights by pretrain: {initial_weights: ...}"
            )
        return self


class BenchmarkTask(Config):
    """What to learn on which cohort, and where else to test."""

    task: TaskChoice
    """Entry of the catalog."""
    cohort: str
    """Cohort of the plan to train and test on."""
    zero_shot: Names = ()
    """Cohorts of the plan to test on as they are."""
    backbones: Names = ()
    """Backbones for it; empty: all."""
    training_fractions: tuple[Share, ...] = ()
    """Shares of the training part; empty: those of the plan."""
    finetune: Settings = Field(default_factory=dict)
    """Settings of its fine-tunings."""


class BenchmarkOcclusion(Config):
    """Whom the networks are asked about, for maps of what they look at."""

    participants: Annotated[int, Field(ge=0, le=1000)] = 2
    """Test scans whose maps are averaged, of the positive group where there are
    groups; 0 for no maps."""
    scans: Names = ()
    """These instead, by participant or scan; of each task those in its test part."""
    explain: Settings = Field(default_factory=dict)
    """Settings of explain; from coarse to fine for at most a minute, without checks,
    where they are not given."""


class BenchmarkPlan(Config):
    """A matrix of trainings; see docs/benchmark.md."""

    title: str = "Benchmark"
    """Of the report."""
    cohorts: dict[Name, Annotated[BenchmarkCohort, _spread("path")]]
    """By name."""
    tasks: dict[Name, BenchmarkTask]
    """By name."""
    backbones: dict[Name, Annotated[BenchmarkBackbone, _spread("backbone")]]
    """By name."""
    initialisations: dict[Name, Annotated[BenchmarkInitialisation, _spread("weights")]]
    """By name; scratch: {} starts from random weights."""
    training_fractions: tuple[Share, ...] = (1.0,)
    """Shares of the training part."""
    tunings: tuple[TuningChoice, ...] = Field(default=("full",), validate_default=True)
    """Which part learns; networks from scratch always learn as a whole."""
    seeds: tuple[Seed, ...] = (0, 1)
    """Each cell is trained once for each."""
    finetune: Settings = Field(default_factory=dict)
    """Settings of every fine-tuning."""
    pretrain: Settings = Field(default_factory=dict)
    """Settings of every pre-training."""
    evaluate: Settings = Field(default_factory=dict)
    """Settings of every test on another cohort."""
    occlusion: BenchmarkOcclusion = BenchmarkOcclusion()
    """Maps of one network for each task, backbone and initialisation."""
    published: Path = NOTHING
    """Table of published results, to show beside these."""

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        _check("cohorts", self.cohorts, self._used_cohorts())
        starts = self.initialisations.items()
        limits = [(name, one.backbones) for name, one in self.tasks.items()]
        limits += [(name, one.backbones) for name, one in starts]
        _check("backbones", self.backbones, limits)
        _check("tasks", self.tasks, [(name, one.tasks) for name, one in starts])
        for field in ("seeds", "training_fractions", "tunings"):
            given = [str(one) for one in getattr(self, field)]
            if not given or len(set(given)) < len(given):
                raise ValueError(f"{field}: name one or more, each once: {given}")
        return self

    def _used_cohorts(self) -> list[tuple[str, tuple[str, ...]]]:
        used = [
            (name, (one.cohort, *one.zero_shot)) for name, one in self.tasks.items()
        ]
        return used + [
            (name, (one.cohort,))
            for name, one in self.initialisations.items()
            if one.cohort
        ]


def _check(
    field: str, known: Mapping[str, Any], used: list[tuple[str, tuple[str, ...]]]
) -> None:
    for owner, names in used:
        if unknown := [name for name in names if name not in known]:
            raise ValueError(
                f"'{owner}' names {field} that the plan lacks: {', '.join(unknown)}. "
                f"It has {', '.join(known)}"
            )
