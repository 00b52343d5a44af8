"""The settings that every training has: how weights move, and on what machine.

A settings class lists its bases from the last group to the first: pydantic puts the
fields of the last base first.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.contract import ShapeText
from napari_neuropretrain.config.fields import (
    Count,
    Decay,
    Device,
    Devices,
    GradientNorm,
    Minutes,
    Momentum,
    Nodes,
    Optimiser,
    Seed,
    Trackers,
)


class UpdateSettings(Config):
    """How a training updates the weights."""

    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1
    """Steps whose gradients are added up for one update of the weights; it does not
    show a method that compares volumes more of them."""
    optimiser: Optimiser = "adamw"
    """adamw; adam; sgd, with Nesterov's momentum; or lars, for very large batches."""
    momentum: Momentum = 0.9
    """Share of the step before that is kept, by sgd and lars."""
    clip: GradientNorm = 0.0
    """Largest norm of the gradients of an update; 0: any."""
    ema: Decay = 0.0
    """Average the weights over the training with this decay, for example 0.999, and
    validate and save the average; 0: off."""


class MachineSettings(Config):
    """Where and how a training computes, and what it keeps on the way."""

    seed: Seed = 0
    """Seed of division, weights, views, masks, augmentation and order."""
    device: Device = "auto"
    """auto, cpu, mps, cuda or cuda:1."""
    devices: Devices = 1
    """Devices on each machine that train together; they divide batch_size."""
    nodes: Nodes = 1
    """Machines; more than one are started by torchrun or srun."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto is bfloat16 on a GPU that can do it, and float32 elsewhere."""
    workers: Count = 1
    """Scans preprocessed at the same time, where the cohort is raw."""
    threads: Count = 2
    """CPU threads for training."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the volumes, where the cohort is raw: 80, or 80x96x80."""
    checkpoint_minutes: Minutes = 10.0
    """Minutes between checkpoints within an epoch; 0: only at the end of epochs."""
    trackers: Trackers = ()
    """tensorboard, mlflow or both hear of each epoch; logs/metrics.csv always does."""
    overwrite: bool = False
    """Begin anew where the run folder holds a training, finished or not."""
