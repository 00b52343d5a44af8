"""Options of the backbones."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from napari_neuropretrain.config.base import Config

Layers = Annotated[int, Field(ge=1, le=64)]


class DenseNetOptions(Config):
    """A 3D DenseNet (Huang et al. 2017)."""

    init_features: Annotated[int, Field(ge=1, le=512)] = 64
    """Channels after the stem."""
    growth_rate: Annotated[int, Field(ge=1, le=256)] = 32
    """Channels that each layer adds."""
    block_config: tuple[Layers, ...] = (6, 12, 24, 16)
    """Layers in each dense block."""
    bottleneck: Annotated[int, Field(ge=1, le=16)] = 4
    """Bottleneck width as a multiple of the growth rate."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability after each dense layer."""


class DenseNet121Options(DenseNetOptions):
    """DenseNet121-3D as in the paper."""


class TinyDenseNetOptions(DenseNetOptions):
    """Tiny-DenseNet of the BHB-10K benchmark."""

    growth_rate: Annotated[int, Field(ge=1, le=256)] = 16
    """Channels that each layer adds."""
    block_config: tuple[Layers, ...] = (6, 12, 16)
    """Layers in each dense block."""
