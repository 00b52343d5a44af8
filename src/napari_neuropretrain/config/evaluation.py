"""The settings of evaluations and of divisions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import (
    NOTHING,
    Count,
    Device,
    Fraction,
    InputPath,
    Names,
    OutputFolder,
    Seed,
)

Samples = Annotated[int, Field(ge=0, le=1_000_000)]


class EvaluateConfig(Config):
    """Judge models, with intervals, and compare them on the same people."""

    model: InputPath
    """A run folder of a fine-tuning, a model file, or a table of predictions."""
    output: OutputFolder
    """Run folder for the metrics."""
    others: Names = ()
    """More models to judge and to compare with, separated by commas."""
    cohorts: Names = ()
    """Other cohorts to test on as they are (zero-shot), separated by commas."""
    baselines: bool = True
    """Judge the linear models of the runs beside them, on the same test people."""
    regions: InputPath = NOTHING
    """Label maps, or a table of region volumes, of those cohorts, for baselines that
    learned from such; -, for none."""
    label: str = ""
    """Column with the label in those cohorts; empty means that of the model."""
    group_by: Names = ("site", "sex", "age")
    """Columns whose groups are judged apart; age by decade."""
    smallest_group: Annotated[int, Field(ge=2, le=10_000)] = 20
    """Fewest participants of a group (of each label) that get a number."""
    bootstraps: Samples = 2000
    """Samples of the bootstrap over participants; 0 for no intervals."""
    permutations: Samples = 2000
    """Shuffles of the labels for the test against chance; 0 for no test."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Share of the intervals that hold the true value."""
    calibration_bins: Annotated[int, Field(ge=2, le=1000)] = 10
    """Bins of equal width, for the calibration error."""
    positive: Names = ("1", "true", "yes", "M", "AD", "PD")
    """Labels of the positive group, in tables that are not from a run."""
    seen: Literal["refuse", "leave_out", "allow"] = "refuse"
    """What to do with people of a cohort whom the model learned from."""
    find_repeats: bool = True
    """Compare the volumes, too: someone may be known under another name."""
    seed: Seed = 0
    """Seed of the samples and shuffles."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 4
    """Volumes per step."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    workers: Count = 1
    """Scans preprocessed at the same time, where they are raw."""
    threads: Count = 2
    """CPU threads."""


class SplitConfig(Config):
    """Divide a cohort by participant; trainings can then share the file."""

    cohort: InputPath
    """A derivatives folder, or a raw cohort (without the search for repeats)."""
    output: OutputFolder
    """Run folder for splits.tsv."""
    label: str = ""
    """Column that the parts share evenly, besides age, sex and site."""
    folds: Annotated[int, Field(ge=0, le=1000)] = 0
    """Number of folds, from 3; 0 for training, validation and test by fractions."""
    validation_fraction: Fraction = 0.15
    """Share of the participants that choose the checkpoint and the threshold."""
    test_fraction: Fraction = 0.2
    """Share of the participants held out for the test."""
    find_repeats: bool = True
    """Compare the volumes, and keep one person under two names together."""
    seed: Seed = 0
    """Seed of the division."""
