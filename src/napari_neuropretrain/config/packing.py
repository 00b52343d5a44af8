"""The settings of the job ``pack``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.fields import Count, InputPath, OutputFolder


class PackConfig(Config):
    """Pack preprocessed volumes into a store that trainings read fast."""

    input: InputPath
    """Folder that ``neuropretrain preprocess`` wrote."""
    output: OutputFolder
    """Folder for the store; running again packs only what is new or changed."""
    url: str = ""
    """Address for the store instead, such as s3://bucket/cohort.zarr; empty: none."""
    precision: Literal["float16", "int8"] = "float16"
    """float16 keeps 11 bits of each number; int8 has 255 steps, and half the size."""
    volumes_per_shard: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Volumes in one file of a new store."""
    workers: Count = 1
    """Files written at the same time, each by a process of its own."""
    verify: bool = False
    """Read what is packed already, too, and pack damaged volumes again."""
    overwrite: bool = False
    """Remove the store that is there, and pack everything."""
