"""What a benchmark consists of: settings, pre-trainings, trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_neuropretrain.config.evaluation import EvaluateConfig, SplitConfig
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig


@dataclass(frozen=True)
class Setting:
    """What the seeds of a cell have in common.

    Parameters
    ----------
    task, backbone, initialisation
        Names of the plan.
    tuning
        Name of the strategy.
    fraction
        Share of the training part.
    """

    task: str
    backbone: str
    initialisation: str
    tuning: str
    fraction: float

    @property
    def title(self) -> str:
        """A short name for tables and figures."""
        tuned = "" if self.tuning == "full" else f", {self.tuning}"
        return f"{self.backbone}, {self.initialisation}{tuned}"


@dataclass(frozen=True)
class Pretraining:
    """One pre-training that cells start from."""

    key: str
    config: PretrainConfig


@dataclass(frozen=True)
class Cell:
    """One training, and the other cohorts it is tested on.

    Parameters
    ----------
    setting, seed
        Which one.
    key
        Name of its folder.
    cohort
        Name of the cohort of its test part.
    config
        Of the training.
    zero_shot
        Settings of the tests, by cohort.
    needs
        Key of the pre-training it starts from, or empty.
    """

    setting: Setting
    seed: int
    key: str
    cohort: str
    config: FinetuneConfig
    zero_shot: Mapping[str, EvaluateConfig]
    needs: str = ""


@dataclass(frozen=True)
class Matrix:
    """Everything that a plan asks for.

    Parameters
    ----------
    splits
        Divisions, by cohort; cohorts with a split file of their own have none.
    pretrainings, cells
        In the order of the plan.
    """

    splits: Mapping[str, SplitConfig]
    pretrainings: tuple[Pretraining, ...]
    cells: tuple[Cell, ...]
