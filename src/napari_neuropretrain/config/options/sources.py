"""Options of the sources of volumes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config


class TemplateCohortOptions(Config):
    """Synthetic whole heads made from the MNI152 template."""

    participants: Annotated[int, Field(ge=2, le=100_000)] = 24
    """Number of participants."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of everything that is drawn."""
    spacing_mm: Annotated[float, Field(ge=1, le=4)] = 2.0
    """Voxel size in mm."""
