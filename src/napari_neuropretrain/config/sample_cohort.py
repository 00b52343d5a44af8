"""Settings of the job ``sample-cohort``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import Names, OutputFolder, Seed


class SampleCohortConfig(Config):
    """Write raw synthetic heads with planted effects, as a BIDS dataset to try."""

    output: OutputFolder
    """Folder for the dataset; running again keeps one of the same settings."""
    participants: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Synthetic participants."""
    seed: Seed = 0
    """Decides everything about them."""
    spacing_mm: Annotated[float, Field(ge=0.7, le=8)] = 2.0
    """Voxel size of the scans, in mm."""
    diagnoses: Names = ("CN", "AD")
    """Groups, repeated in shuffled blocks: CN, AD, PD, with commas."""
