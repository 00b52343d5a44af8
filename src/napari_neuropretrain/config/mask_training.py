"""Settings of the job that trains the brain mask network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config


class TrainBrainMaskConfig(Config):
    """Train the brain mask network on synthetic heads made from label maps."""

    label_maps: Annotated[Path, Field(json_schema_extra={"path": "input"})]
    """Folder of whole-head label maps and T1 priors, as SynthSeg publishes them."""
    output: Annotated[Path, Field(json_schema_extra={"path": "output"})]
    """Run folder for the weights; running again goes on where it stopped."""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 2200
    """Optimiser steps."""
    batch_size: Annotated[int, Field(ge=1, le=64)] = 2
    """Synthetic heads per step."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 4e-3
    """Highest learning rate; rises over 50 steps, then falls as a cosine."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-3
    """Weight decay of AdamW."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay of the moving average of the weights, which is what gets shipped."""
    save_every: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Steps between checkpoints."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of weights and heads."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """CPU threads."""
