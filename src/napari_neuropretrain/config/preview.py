"""Settings of the job ``preview``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.fields import NOTHING, InputPath, OutputFolder
from napari_neuropretrain.config.trainings import PretrainConfig


class PreviewConfig(PretrainConfig):
    """Write what the network of a pre-training sees, with all its settings."""

    output: OutputFolder
    """Folder for the volumes (NIfTI) and preview.json."""
    index: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """Which volume of the source, from 0 on."""
    run: InputPath = NOTHING
    """Run folder of the pre-training: its best weights so far restore what is hidden;
    -, for the weights that it would start with."""
