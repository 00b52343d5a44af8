"""Options of the pre-training methods."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.options.views import ViewOptions

Width = Annotated[int, Field(ge=1, le=65_536)]
Temperature = Annotated[float, Field(gt=0, le=10)]
Weight = Annotated[float, Field(ge=0, le=1000)]
MaskRatio = Annotated[float, Field(gt=0, lt=1)]


class SimClrOptions(ViewOptions):
    """SimCLR (Chen et al. 2020): two views of a volume are nearest to each other."""

    temperature: Temperature = 0.1
    """Smaller: the nearest other volumes count more."""
    projector: Annotated[tuple[Width, ...], Field(min_length=1)] = (2048, 2048, 128)
    """Outputs of each layer of the projector, which is thrown away afterwards."""


class YAwareOptions(ViewOptions):
    """y-aware InfoNCE (Dufumier et al. 2021): people of similar age are near."""

    label: str = "age"
    """Column of numbers in the participants table."""
    sigma: Annotated[float, Field(gt=0, le=1e6)] = 5.0
    """Width of the Gaussian kernel, in the unit of the label."""
    temperature: Temperature = 0.1
    """Smaller: the nearest other volumes count more."""
    normalise: Literal["row", "official"] = "row"
    """row as in the paper; official as in the published code, where the weights of
    each column sum to 1 and the loss is twice as large."""
    projector: Annotated[tuple[Width, ...], Field(min_length=1)] = (512, 128)
    """Outputs of each layer of the projector, which is thrown away afterwards."""


class VicRegOptions(ViewOptions):
    """VICReg (Bardes et al. 2022): no negatives, three terms against collapse."""

    invariance: Weight = 25.0
    """Weight of the difference of two views."""
    variance: Weight = 25.0
    """Weight of the term that keeps outputs from being constant."""
    covariance: Weight = 1.0
    """Weight of the term that keeps outputs from saying the same."""
    projector: Annotated[tuple[Width, ...], Field(min_length=1)] = (8192, 8192, 8192)
    """Outputs of each layer of the expander; 134 million parameters by default."""


class BarlowTwinsOptions(ViewOptions):
    """Barlow Twins (Zbontar et al. 2021): outputs agree with themselves only."""

    redundancy_weight: Weight = 0.0051
    """Weight of the correlations between different outputs."""
    projector: Annotated[tuple[Width, ...], Field(min_length=1)] = (8192, 8192, 8192)
    """Outputs of each layer of the projector; 134 million parameters by default."""


class SupervisedOptions(ViewOptions):
    """Learn a label that is known of everyone, as the paper does with sex."""

    label: str = "sex"
    """Column of the participants table."""
    kind: Literal["binary", "regression", "classes"] = "binary"
    """binary for two groups, regression for a number such as age, classes for any
    number of groups, such as the classes of video clips."""
    positive: tuple[str, ...] = ("M", "Male", "1")
    """Values of the positive group; upper and lower case are the same."""
    negative: tuple[str, ...] = ("F", "Female", "0", "2")
    """Values of the negative group; rows with any other value are left out."""


class MaskedOptions(Config):
    """What masked modelling has in common."""

    mask_ratio: MaskRatio = 0.75
    """Share of the blocks that are hidden."""
    block: Annotated[int, Field(ge=0, le=128)] = 0
    """Edge of a hidden block in voxels, made up to whole patches; 0: one patch, or
    16 voxels for Swin, whose patches are small."""
    brain_only: bool = False
    """Count hidden voxels of the brain only; else background counts, too."""


class MaeOptions(MaskedOptions):
    """Masked autoencoder (He et al. 2022)."""

    normalise_blocks: bool = True
    """Reconstruct each block with mean 0 and deviation 1 (norm_pix_loss)."""
    decoder_width: Annotated[int, Field(ge=6, le=4096)] = 192
    """Channels of the decoder (ViT and NiT); a multiple of 6 and of its heads."""
    decoder_layers: Annotated[int, Field(ge=1, le=64)] = 2
    """Transformer blocks of the decoder (ViT and NiT)."""
    decoder_heads: Annotated[int, Field(ge=1, le=64)] = 6
    """Attention heads of the decoder (ViT and NiT)."""

    @model_validator(mode="after")
    def _width_divides(self) -> Self:
        width, heads = self.decoder_width, self.decoder_heads
        if width % 6 or width % heads:
            raise ValueError(
                f"decoder_width ({width}) must be a multiple of 6 and of "
                f"decoder_heads ({heads})"
            )
        return self


class SimMimOptions(MaskedOptions):
    """SimMIM (Xie et al. 2022)."""

    mask_ratio: MaskRatio = 0.6
    """Share of the blocks that are hidden."""
    block: Annotated[int, Field(ge=0, le=128)] = 32
    """Edge of a hidden block in voxels, made up to whole patches; 0: one patch, or
    16 voxels for Swin, whose patches are small."""


class ReconstructionOptions(Config):
    """An autoencoder: restore the volume from the last feature map."""

    loss: Literal["l1", "l2"] = "l1"
    """Absolute or squared difference."""
    mask_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the blocks set to background in the input; 0: a plain autoencoder."""
    block: Annotated[int, Field(ge=1, le=128)] = 16
    """Edge of such a block in voxels."""
    decoder_width: Annotated[int, Field(ge=1, le=4096)] = 32
    """Channels of the decoder."""
