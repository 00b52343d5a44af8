"""One settings class per job, and the table of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.benchmarking import BenchmarkConfig
from napari_neuropretrain.config.checking import CheckCohortConfig
from napari_neuropretrain.config.choice import SourceChoice
from napari_neuropretrain.config.contract import (
    BrainMaskParameters,
    DegreesOfFreedom,
    MaskMethod,
    PreprocessingContract,
    ShapeText,
)
from napari_neuropretrain.config.evaluation import EvaluateConfig, SplitConfig
from napari_neuropretrain.config.explaining import ExplainConfig
from napari_neuropretrain.config.fields import (
    Count,
    Device,
    InputPath,
    Names,
    OutputFolder,
    Seed,
    Spacing,
)
from napari_neuropretrain.config.mask_training import TrainBrainMaskConfig
from napari_neuropretrain.config.packing import PackConfig
from napari_neuropretrain.config.preview import PreviewConfig
from napari_neuropretrain.config.registry import Registry
from napari_neuropretrain.config.sample_cohort import SampleCohortConfig
from napari_neuropretrain.config.searching import SearchConfig
from napari_neuropretrain.config.trainings import FinetuneConfig, PretrainConfig
from napari_neuropretrain.errors import ContractError


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


class SynthesiseConfig(Config):
    """Write the volumes of a source as a preprocessed cohort, once and for all."""

    source: SourceChoice = Field(default="template_cohort", validate_default=True)
    """What makes the volumes."""
    output: OutputFolder
    """Folder for the cohort; running again makes only what is missing."""
    workers: Count = 1
    """Volumes made at the same time, each in a process of its own; 1 for a GPU."""
    overwrite: bool = False
    """Make every volume again, also those already there."""


class PredictConfig(Config):
    """Apply trained models to raw or preprocessed scans."""

    model: InputPath
    """A model file (.safetensors), the run folder of a fine-tuning, or a folder of
    such, every model of which is applied."""
    input: InputPath
    """A scan, a folder or a table."""
    output: OutputFolder
    """Folder for the table of predictions."""
    more_models: Names = ()
    """More models or folders of models, with commas."""
    uncertainty: Literal["auto", "none", "tta", "dropout", "ensemble"] = "auto"
    """Where the spread comes from: several models of one task, dropout while
    predicting, or small changes of the scan (tta); auto takes the first there is."""
    samples: Annotated[int, Field(ge=2, le=200)] = 10
    """Predictions of each scan for its spread, by dropout or tta."""
    level: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9
    """Share of people whose label a calibrated interval should hold."""
    age: Annotated[
        float, Field(ge=0, le=120, json_schema_extra={"zero": "unknown"})
    ] = 0.0
    """Age in years, where the input is one scan and no table says it; 0: unknown."""
    sex: Literal["unknown", "F", "M"] = "unknown"
    """Sex, where the input is one scan and no table says it."""
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 4
    """Volumes per step."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    workers: Count = 1
    """Scans preprocessed at the same time, where they are raw."""
    threads: Count = 2
    """CPU threads."""


class DemoConfig(Config):
    """Run the whole way on a synthetic cohort: no data, no download."""

    output: OutputFolder = Path("neuropretrain-demo")
    """Folder for everything the demo makes."""
    participants: Annotated[int, Field(ge=8, le=10_000)] = 32
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
    "check-cohort",
    "List what is wrong in a cohort, and what to do",
    CheckCohortConfig,
    _ROOT + "data.check_cohort:check_cohort",
)
JOBS.register(
    "preprocess",
    "Turn raw T1 scans into aligned, normalised volumes",
    PreprocessConfig,
    _ROOT + "preprocessing.cohort:preprocess",
)
JOBS.register(
    "pack",
    "Pack preprocessed volumes into a store for fast reading",
    PackConfig,
    _ROOT + "training.pack:pack",
)
JOBS.register(
    "synthesise",
    "Write synthetic volumes as a cohort",
    SynthesiseConfig,
    _ROOT + "preprocessing.synthesise:synthesise",
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
    "preview",
    "Write what the network of a pre-training sees of a volume",
    PreviewConfig,
    _ROOT + "training.preview:preview",
)
JOBS.register(
    "predict",
    "Apply a trained model to scans",
    PredictConfig,
    _ROOT + "inference.predict:predict",
)
JOBS.register(
    "evaluate",
    "Judge and compare models, also on other cohorts",
    EvaluateConfig,
    _ROOT + "evaluation.evaluate:evaluate",
)
JOBS.register(
    "benchmark",
    "Compare backbones, initialisations and tasks",
    BenchmarkConfig,
    _ROOT + "benchmark.run:benchmark",
)
JOBS.register(
    "search",
    "Look for good settings of a fine-tuning",
    SearchConfig,
    _ROOT + "search.run:search",
)
JOBS.register(
    "split",
    "Divide a cohort by participant, or into folds",
    SplitConfig,
    _ROOT + "training.split:split",
)
JOBS.register(
    "explain",
    "Show what a model looked at",
    ExplainConfig,
    _ROOT + "explanation.explain:explain",
)
JOBS.register(
    "sample-cohort",
    "Write raw synthetic heads to try everything on",
    SampleCohortConfig,
    _ROOT + "synthesis.sample_cohort:sample_cohort",
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
