"""Settings of the job that trains the brain mask network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from napari_neuropretrain.config.base import Config


class TrainBrainMaskConfig(Config):
    """Train the brain mask network on synthetic heads made from label maps."""

    label_maps: Annotated[Path, Field(json_schema_extra={"path": "input"})]
    """Folder of whole-head label maps and T1 priors, as SynthSeg publishes them."""
    output: Annotated[Path, Field(json_schema_extra={"path": "output"})]
    """Run folder for the weights; running again goes on where it stopped."""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 8000
    """Optimiser steps."""
    batch_size: Annotated[int, Field(ge=1, le=64)] = 2
    """Synthetic heads per step."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    """Highest learning rate; rises over 50 steps, then falls as a cosine."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-3
    """Weight decay of AdamW."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay of the moving average of the weights, which is what gets shipped."""
    save_every: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Steps between checkpoints."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of weights and heads."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the network's inner sums; bfloat16 needs a recent processor."""
    validation_heads: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Fresh synthetic heads on which the finished network is measured."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """CPU threads of the network."""
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Processes that draw heads meanwhile; 0 draws them in between."""
