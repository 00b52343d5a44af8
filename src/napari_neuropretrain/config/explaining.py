"""Settings of the job ``explain``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import (
    Count,
    Device,
    InputPath,
    Names,
    OutputFolder,
)


class ExplainConfig(Config):
    """Show what a model looked at: by occlusion, gradients or attention."""

    model: InputPath
    """A model file (.safetensors) or the run folder of a fine-tuning."""
    input: InputPath
    """A raw or preprocessed scan, or a cohort of them: a folder or a table."""
    output: OutputFolder
    """Folder for the maps."""
    scans: Names = ()
    """Participants or scans of the cohort, separated by commas; empty: all."""
    group_by: str = ""
    """Compare groups of the cohort by label, sex, site, age (decades) or any column."""
    permutations: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Shuffles for the tests of mean maps and differences; 0 for no tests."""
    method: Literal[
        "occlusion",
        "integrated_gradients",
        "smooth_grad",
        "grad_cam",
        "attention_rollout",
    ] = "occlusion"
    """How: by hiding places, or from gradients (every network), activations (CNNs)
    or attention (transformers)."""
    stage: Annotated[int, Field(ge=0, le=64)] = 0
    """With grad_cam: which feature map, 1 the first; 0 for the deepest one with 4
    cells along each axis."""
    target: Literal["prediction", "logit"] = "prediction"
    """What changes: the prediction (probability, years), or the logit behind it."""
    patch: Annotated[int, Field(ge=1, le=64)] = 8
    """Edge of the occluded cube, in voxels."""
    stride: Annotated[int, Field(ge=1, le=64)] = 4
    """Step between positions, in voxels; at most the patch."""
    baseline: Literal["mean", "black", "blurred", "mirror"] = "mean"
    """What replaces the patch: the brain's mean (0 after z-scoring) or its minimum,
    the scan blurred, or the other half of the brain."""
    combine: Literal["mean", "strongest"] = "mean"
    """What a voxel gets of the cubes that cover it."""
    positions: Literal["all", "adaptive"] = "all"
    """Every position, or from coarse to fine where the map has energy."""
    correlation: Annotated[float, Field(ge=0.5, le=0.9999)] = 0.98
    """With adaptive: estimated correlation with the whole map that is enough."""
    seconds: Annotated[float, Field(ge=0, le=864_000)] = 0.0
    """With adaptive: time that may be spent on positions; 0 for any."""
    regions: str = ""
    """A label image in template space, or an atlas by name (harvard_oxford, aal,
    destrieux, juelich, schaefer_100, schaefer_200, schaefer_400): what each region
    has is listed. Atlases are fetched once."""
    checks: bool = True
    """Compare with a randomised network and other cubes, and hide what is strongest."""
    others: Names = ()
    """Models of other seeds or folds, separated by commas: the checks say how alike
    their maps are."""
    batch_size: Annotated[int, Field(ge=0, le=1024)] = 0
    """Occluded copies per step; 0 for what suits the memory."""
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

    @field_validator("others")
    @classmethod
    def _only_with_checks(cls, value: Names, info: object) -> Names:
        given = getattr(info, "data", {})
        if value and not (given.get("checks") and given.get("method") == "occlusion"):
            raise ValueError(
                "models are compared with by the checks of occlusion maps; leave "
                "checks at true and method at occlusion, or name no others"
            )
        return value
