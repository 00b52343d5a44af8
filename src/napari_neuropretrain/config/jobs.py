"""One settings class per job, and the table of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.choice import (
    BackboneChoice,
    MethodChoice,
    TaskChoice,
    TuningChoice,
)
from napari_neuropretrain.config.contract import (
    BrainMaskParameters,
    DegreesOfFreedom,
    MaskMethod,
    PreprocessingContract,
    ShapeText,
)
from napari_neuropretrain.config.mask_training import TrainBrainMaskConfig
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.errors import ContractError

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Count = Annotated[int, Field(ge=1, le=64)]
Spacing = Annotated[float, Field(ge=0.5, le=8)]
Fraction = Annotated[float, Field(gt=0, lt=0.9)]
InputPath = Annotated[Path, Field(json_schema_extra={"path": "input"})]
OutputFolder = Annotated[Path, Field(json_schema_extra={"path": "output"})]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]


class PreprocessConfig(Config):
    """Turn raw T1 scans into aligned, normalised volumes (BIDS derivatives)."""

    input: InputPath
    """A scan, a folder (BIDS, DICOM or plain) or a table with a path column."""
    output: OutputFolder
    """Folder for the derivatives; running again does only what is missing."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the output: one edge for a cube, or three, as in 80x96x80."""
    spacing_mm: Spacing = 2.0
    """Voxel size of the output, in mm."""
    dof: DegreesOfFreedom = 9
    """Degrees of freedom: 6 rigid, 7 one scale, 9 three scales, 12 with shear."""
    brain_mask: MaskMethod = "neuropretrain"
    """Our network, or HD-BET or SynthStrip where you have installed it."""
    workers: Count = 1
    """Scans processed at the same time, each in a process of its own."""
    threads: Count = 1
    """CPU threads for each scan."""
    memory_gib: Annotated[float, Field(ge=1, le=1024)] = 4.0
    """Memory a worker may use, in GiB; a scan that needs more fails alone."""
    scheduler: Annotated[str, Field(pattern=r"^((tcp|tls)://\S+:\d+)?$")] = ""
    """Address of a Dask scheduler, as tcp://host:8786; empty means this machine."""
    overwrite: bool = False
    """Do every scan again, also those already done."""

    @property
    def contract(self) -> PreprocessingContract:
        """What the outputs promise to a model."""
        values: dict[str, Any] = {
            "shape": self.shape,
            "spacing_mm": self.spacing_mm,
            "brain_mask": BrainMaskParameters.of(self.brain_mask),
            "registration": {"dof": self.dof},
        }
        return PreprocessingContract.parse(values)

    @classmethod
    def for_contract(cls, contract: PreprocessingContract, **others: Any) -> Self:
        """Return the settings whose outputs keep `contract`.

        Raises
        ------
        ContractError
            If this version cannot make such volumes; says in what it differs.
        """
        config = cls.parse(
            {
                "shape": contract.shape,
                "spacing_mm": contract.spacing_mm,
                "brain_mask": contract.brain_mask.method,
                "dof": contract.registration.dof,
                **others,
            }
        )
        if differences := contract.differences(config.contract):
            raise ContractError(
                "The model needs scans that were preprocessed in a way this version "
                f"cannot do: {'; '.join(differences)}. Give scans preprocessed for "
                "the model, use the version that trained it, or train it again."
            )
        return config


class FinetuneConfig(Config):
    """Train a network on a cohort for one task, and test it on held-out people."""

    cohort: InputPath
    """A derivatives folder, or a raw cohort, which is preprocessed first."""
    output: OutputFolder
    """Run folder for the model, the metrics and the predictions."""
    task: TaskChoice = Field(default="brain_age", validate_default=True)
    """What to learn."""
    backbone: BackboneChoice = Field(default="tiny_densenet", validate_default=True)
    """Network architecture."""
    initial_weights: Annotated[str, Field(json_schema_extra={"weights": "initial"})] = (
        ""
    )
    """Known weights, an imported file or a run folder to start from; empty: none."""
    tuning: TuningChoice = Field(default="full", validate_default=True)
    """Which part of the network learns."""
    label: str = ""
    """Column with the label; empty means the task's own (age, sex, diagnosis)."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 30
    """Longest training, in passes over the training participants."""
    batch_size: Annotated[int, Field(ge=2, le=1024)] = 4
    """Volumes per step; halved where the memory is too small."""
    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1
    """Steps whose gradients are added up for one update of the weights."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Highest learning rate, reached after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-2
    """Weight decay of AdamW."""
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)] = 2
    """Epochs over which the learning rate rises; then it falls as a cosine."""
    patience: Annotated[int, Field(ge=1, le=10_000)] = 30
    """Stop after so many epochs without a better validation loss."""
    validation_fraction: Fraction = 0.15
    """Share of the participants that choose the checkpoint and the threshold."""
    test_fraction: Fraction = 0.2
    """Share of the participants held out for the test."""
    augment: bool = True
    """Flip left and right, shift by up to 2 voxels, and vary the intensity."""
    seed: Seed = 0
    """Seed of splits, weights, augmentation and order."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto is bfloat16 on a GPU that can do it, and float32 elsewhere."""
    channels_last: bool = False
    """Order feature maps by voxel: can be faster on a GPU; slower on CPUs."""
    checkpointing: bool = False
    """Compute feature maps again instead of keeping them: less memory, more time."""
    compile: bool = False
    """Compile the network (torch.compile): minutes to start, then often faster."""
    workers: Count = 1
    """Scans preprocessed at the same time, where the cohort is raw."""
    threads: Count = 2
    """CPU threads for training."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the volumes, where the cohort is raw: 80, or 80x96x80."""
    overwrite: bool = False
    """Begin anew where the run folder holds a training, finished or not."""

    @field_validator("test_fraction")
    @classmethod
    def _leave_some_to_train(cls, value: float, info: object) -> float:
        others = getattr(info, "data", {}).get("validation_fraction", 0.0)
        if value + others >= 0.9:
            raise ValueError(
                "validation_fraction and test_fraction together must stay under 0.9"
            )
        return value


class PretrainConfig(Config):
    """Pre-train a backbone on a cohort; fine-tuning can start from the encoder."""

    cohort: InputPath
    """A derivatives folder, or a raw cohort, which is preprocessed first."""
    output: OutputFolder
    """Run folder; the encoder in it is what fine-tuning starts from."""
    method: MethodChoice = Field(default="simclr", validate_default=True)
    """How to learn."""
    backbone: BackboneChoice = Field(default="tiny_densenet", validate_default=True)
    """Network architecture."""
    initial_weights: Annotated[str, Field(json_schema_extra={"weights": "initial"})] = (
        ""
    )
    """Known weights, an imported file or a run folder to start from; empty: none."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Longest training, in passes over the training participants."""
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 16
    """Volumes per step; methods that compare volumes learn more from many."""
    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1
    """Steps whose gradients are added up; does not show a method more volumes."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """Highest learning rate, reached after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-5
    """Weight decay of AdamW."""
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)] = 10
    """Epochs over which the learning rate rises; then it falls as a cosine."""
    patience: Annotated[int, Field(ge=1, le=100_000)] = 30
    """Stop after so many epochs without a better validation loss."""
    validation_fraction: Fraction = 0.1
    """Share of the participants that choose the checkpoint."""
    seed: Seed = 0
    """Seed of division, weights, views, masks and order."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto is bfloat16 on a GPU that can do it, and float32 elsewhere."""
    workers: Count = 1
    """Scans preprocessed at the same time, where the cohort is raw."""
    threads: Count = 2
    """CPU threads for training."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the volumes, where the cohort is raw: 80, or 80x96x80."""
    overwrite: bool = False
    """Begin anew where the run folder holds a training, finished or not."""


class PredictConfig(Config):
    """Apply a trained model to raw or preprocessed scans."""

    model: InputPath
    """A model file (.safetensors) or the run folder of a fine-tuning."""
    input: InputPath
    """A scan, a folder or a table."""
    output: OutputFolder
    """Folder for the table of predictions."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 4
    """Volumes per step."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    workers: Count = 1
    """Scans preprocessed at the same time, where they are raw."""
    threads: Count = 2
    """CPU threads."""


class ExplainConfig(Config):
    """Show what a model looked at, by occlusion sensitivity."""

    model: InputPath
    """A model file (.safetensors) or the run folder of a fine-tuning."""
    input: InputPath
    """One raw or preprocessed scan."""
    output: OutputFolder
    """Folder for the maps."""
    patch: Annotated[int, Field(ge=1, le=64)] = 8
    """Edge of the occluded cube, in voxels."""
    stride: Annotated[int, Field(ge=1, le=64)] = 4
    """Step between positions, in voxels; at most the patch."""
    baseline: Literal["mean", "black"] = "mean"
    """What replaces the patch: the brain's mean (0 after z-scoring) or its minimum."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 8
    """Occluded copies per step."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    threads: Count = 2
    """CPU threads."""

    @field_validator("stride")
    @classmethod
    def _cover_every_voxel(cls, value: int, info: object) -> int:
        patch = getattr(info, "data", {}).get("patch", value)
        if value > patch:
            raise ValueError(
                f"must be at most the patch ({patch}), or voxels would be skipped"
            )
        return value


class DemoConfig(Config):
    """Run the whole way on a synthetic cohort: no data, no download."""

    output: OutputFolder = Path("neuropretrain-demo")
    """Folder for everything the demo makes."""
    participants: Annotated[int, Field(ge=12, le=10_000)] = 32
    """Synthetic participants."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 20
    """Epochs of the small network."""
    seed: Seed = 0
    """Seed of the cohort and of the training."""
    workers: Count = 2
    """Scans preprocessed at the same time."""
    threads: Count = 2
    """CPU threads for training."""


_ROOT = "napari_neuropretrain."

JOBS = Registry("job")
JOBS.register(
    "preprocess",
    "Turn raw T1 scans into aligned, normalised volumes",
    PreprocessConfig,
    _ROOT + "preprocessing.cohort:preprocess",
)
JOBS.register(
    "finetune",
    "Train a network for a task",
    FinetuneConfig,
    _ROOT + "training.finetune:finetune",
)
JOBS.register(
    "pretrain",
    "Pre-train a backbone",
    PretrainConfig,
    _ROOT + "training.pretrain:pretrain",
)
JOBS.register(
    "predict",
    "Apply a trained model to scans",
    PredictConfig,
    _ROOT + "inference.predict:predict",
)
JOBS.register(
    "explain",
    "Show what a model looked at",
    ExplainConfig,
    _ROOT + "explanation.explain:explain",
)
JOBS.register(
    "demo",
    "Run the whole way on synthetic scans",
    DemoConfig,
    _ROOT + "demo.run:demo",
)
JOBS.register(
    "train-brain-mask",
    "Train the brain mask network again from label maps",
    TrainBrainMaskConfig,
    _ROOT + "preprocessing.train_brain_mask:train_brain_mask",
)
