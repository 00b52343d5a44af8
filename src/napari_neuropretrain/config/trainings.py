"""The settings of the two trainings: fine-tuning and pre-training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.choice import (
    BackboneChoice,
    Choice,
    MethodChoice,
    SourceChoice,
    TaskChoice,
    TuningChoice,
)
from napari_neuropretrain.config.fields import (
    NOTHING,
    Fraction,
    InitialWeights,
    InputPath,
    Names,
    OutputFolder,
)
from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.config.training_parts import (
    MachineSettings,
    UpdateSettings,
)


class _FinetuneSettings(Config):
    """What to learn, from whom, and for how long, in a fine-tuning."""

    cohort: InputPath
    """A derivatives folder, or a raw cohort, which is preprocessed first."""
    output: OutputFolder
    """Run folder for the model, the metrics and the predictions."""
    task: TaskChoice = Field(default="brain_age", validate_default=True)
    """What to learn."""
    backbone: BackboneChoice = Field(default="tiny_densenet", validate_default=True)
    """Network architecture."""
    initial_weights: InitialWeights = ""
    """Known weights, an imported file or a run folder to start from; empty: none."""
    tuning: TuningChoice = Field(default="full", validate_default=True)
    """Which part of the network learns."""
    label: str = ""
    """Column with the label; empty means the task's own (age, sex, diagnosis)."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 30
    """Longest training, in passes over the training participants."""
    batch_size: Annotated[int, Field(ge=2, le=1024)] = 4
    """Volumes per step; halved where the memory is too small."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Highest learning rate, reached after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-2
    """Decay of the weights; biases and normalisation have none."""
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)] = 2
    """Epochs over which the learning rate rises; then it falls as a cosine."""
    patience: Annotated[int, Field(ge=1, le=10_000)] = 30
    """Stop after so many epochs without a better validation loss."""
    validation_fraction: Fraction = 0.15
    """Share of the participants that choose the checkpoint and the threshold."""
    test_fraction: Fraction = 0.2
    """Share of the participants held out for the test."""
    training_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training participants to train on; a smaller one is within a larger
    one, and validation and test stay the same."""
    splits: InputPath = NOTHING
    """A split file that says who is in which part; -, to divide by the fractions."""
    fold: Annotated[int, Field(ge=0, le=1000)] = 0
    """Fold of the split file to test on, from 1; 0 where it has no folds."""
    find_repeats: bool = True
    """Compare the volumes: one person under two names must not be in two parts."""
    allow_leakage: bool = False
    """Warn, and do not refuse, where someone of the test was learned from before."""
    shuffle_labels: bool = False
    """Self-test: learn from shuffled labels; the test must then come out at chance."""
    baselines: bool = True
    """Train linear models on the same people, too, and show them beside the network."""
    regions: InputPath = NOTHING
    """Label maps, or a table of region volumes, for one more baseline; -, for none."""
    augment: bool = True
    """Flip left and right, shift by up to 2 voxels, and vary the intensity."""
    channels_last: bool = False
    """Order feature maps by voxel: can be faster on a GPU; slower on CPUs."""
    checkpointing: bool = False
    """Compute feature maps again instead of keeping them: less memory, more time."""
    compile: bool = False
    """Compile the network (torch.compile): minutes to start, then often faster."""

    @field_validator("test_fraction")
    @classmethod
    def _leave_some_to_train(cls, value: float, info: object) -> float:
        others = getattr(info, "data", {}).get("validation_fraction", 0.0)
        if value + others >= 0.9:
            raise ValueError(
                "validation_fraction and test_fraction together must stay under 0.9"
            )
        return value


class FinetuneConfig(MachineSettings, UpdateSettings, _FinetuneSettings):
    """Train a network on a cohort for one task, and test it on held-out people."""


class _PretrainSettings(Config):
    """What to learn from, how, and for how long, in a pre-training."""

    cohort: InputPath = NOTHING
    """A derivatives folder, or a raw cohort, which is preprocessed first; -, where
    another source is chosen."""
    source: SourceChoice = Field(default="cohort", validate_default=True)
    """Where the volumes come from."""
    output: OutputFolder
    """Run folder; the encoder in it is what fine-tuning starts from."""
    method: MethodChoice = Field(default="simclr", validate_default=True)
    """How to learn."""
    backbone: BackboneChoice = Field(default="tiny_densenet", validate_default=True)
    """Network architecture."""
    initial_weights: InitialWeights = ""
    """Known weights, an imported file or a run folder to start from; empty: none."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Longest training, in passes over the training participants."""
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 16
    """Volumes per step; methods that compare volumes learn more from many."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """Highest learning rate, reached after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-5
    """Decay of the weights; biases and normalisation have none."""
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)] = 10
    """Epochs over which the learning rate rises; then it falls as a cosine."""
    patience: Annotated[int, Field(ge=1, le=100_000)] = 30
    """Stop after so many epochs without a better validation loss."""
    validation_fraction: Fraction = 0.1
    """Share of the participants that choose the checkpoint."""
    splits: InputPath = NOTHING
    """A split file whose test participants are left out; -, to use everyone."""
    fold: Annotated[int, Field(ge=0, le=1000)] = 0
    """Fold of the split file that is the test, from 1; 0 where it has no folds."""
    find_repeats: bool = True
    """Keep what is particular to each brain, so that nobody is tested who is known
    under another name."""
    probe: Literal["linear", "knn", "none"] = "linear"
    """What reads labels from the features, to see whether it learns: ridge
    regression, or nearest neighbours; it changes nothing."""
    probe_labels: Names = ("age", "sex")
    """Labels to read; those that the source does not have are left out."""
    probe_every: Annotated[int, Field(ge=1, le=100_000)] = 5
    """Epochs between two probes; the first and the last one always have one."""
    probe_volumes: Annotated[int, Field(ge=4, le=100_000)] = 256
    """Training volumes whose features a probe learns from."""

    @field_validator("source")
    @classmethod
    def _one_source(cls, value: Choice, info: object) -> Choice:
        cohort = getattr(info, "data", {}).get("cohort", NOTHING)
        if cohort != NOTHING and value.name != "cohort":
            raise ValueError(
                f"it excludes the cohort '{cohort}': give one of the two, and - for "
                "the cohort where another source is chosen"
            )
        if cohort == NOTHING and value.options == CohortOptions():
            raise ValueError(
                "give a cohort, or choose another source, such as template_cohort"
            )
        return value


class PretrainConfig(MachineSettings, UpdateSettings, _PretrainSettings):
    """Pre-train a backbone; fine-tuning can start from the encoder."""
