"""Options of the tuning strategies."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config

LayerDecay = Annotated[float, Field(gt=0, le=1)]
Epochs = Annotated[int, Field(ge=0, le=10_000)]


class LayerwiseOptions(Config):
    """Stages learn at their own rate, and start one after another."""

    layer_decay: LayerDecay = 1.0
    """Learning rate of each stage as a share of the one after it; 1 means the same."""
    unfreeze_every: Epochs = 0
    """Epochs between two stages that start to learn, the last one first; 0: no wait."""


class FullTuningOptions(LayerwiseOptions):
    """Train every parameter."""


class TopTuningOptions(Config):
    """Train the head; the backbone stays as it is."""

    last_stage_epoch: Epochs = 0
    """Epoch, from 2 on, at which the last stage starts to learn, too; 0 means never."""
    layer_decay: LayerDecay = 1.0
    """Learning rate of the last stage as a share of the head's."""


class PartialTuningOptions(LayerwiseOptions):
    """Train the head and the stages next to it; the first ones stay as they are."""

    from_stage: Annotated[int, Field(ge=-64, le=63)] = -2
    """First stage that learns, from 0 on; -1 is the last one, -2 the one before."""


class LoraTuningOptions(Config):
    """Train the head and a small update of each weight (Hu et al. 2022)."""

    rank: Annotated[int, Field(ge=1, le=512)] = 8
    """Rank of each update: how many parameters it has."""
    alpha: Annotated[float, Field(gt=0, le=4096)] = 16.0
    """Strength: updates are scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a layer's inputs that its update does not see in a step."""
    modules: tuple[str, ...] = ()
    """Only layers with one of these in their name; empty: each Linear and Conv3d."""
    norms: bool = False
    """Train the normalisation layers, too."""
