"""Options of the backbones."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.contract import ShapeText
from napari_neuropretrain.config.options.shapes import check_multiple

Layers = Annotated[int, Field(ge=1, le=64)]
Heads = Annotated[int, Field(ge=1, le=64)]
Width = Annotated[int, Field(ge=1, le=8192)]
Patch = Annotated[int, Field(ge=1, le=64)]
Probability = Annotated[float, Field(ge=0, lt=1)]


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
    dropout: Probability = 0.0
    """Dropout probability after each dense layer."""


class DenseNet121Options(DenseNetOptions):
    """DenseNet121-3D as in the paper."""


class TinyDenseNetOptions(DenseNetOptions):
    """Tiny-DenseNet of the BHB-10K benchmark."""

    growth_rate: Annotated[int, Field(ge=1, le=256)] = 16
    """Channels that each layer adds."""
    block_config: tuple[Layers, ...] = (6, 12, 16)
    """Layers in each dense block."""


class SwinOptions(Config):
    """Video Swin Transformer (Liu et al. 2022), tiny, as in torchvision."""

    patch: tuple[Patch, Patch, Patch] = (2, 4, 4)
    """Voxels of a token along x, y and z."""
    embed_dim: Width = 96
    """Channels of the first stage; each later stage has twice as many."""
    depths: tuple[Layers, ...] = (2, 2, 6, 2)
    """Blocks in each stage."""
    heads: tuple[Heads, ...] = (3, 6, 12, 24)
    """Attention heads in each stage."""
    window: tuple[Patch, Patch, Patch] = (8, 7, 7)
    """Tokens of an attention window along x, y and z."""
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 4.0
    """Hidden width of the perceptrons as a multiple of the channels."""
    dropout: Probability = 0.0
    """Dropout probability after attention and in the perceptrons."""
    attention_dropout: Probability = 0.0
    """Dropout probability of the attention weights."""
    stochastic_depth: Probability = 0.1
    """Probability that the last block is skipped in training; falls to 0 at the
    first."""
    bias_index: Literal["kinetics", "clamped"] = "kinetics"
    """How a window smaller than `window` reads its position biases: as torchvision
    does (wrong distances), or by the true distances."""

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        if len(self.depths) != len(self.heads) or not self.depths:
            raise ValueError(
                f"depths {self.depths} and heads {self.heads} must be equally many"
            )
        for stage, heads in enumerate(self.heads):
            if (width := self.embed_dim * 2**stage) % heads:
                raise ValueError(
                    f"stage {stage + 1} has {width} channels, which {heads} heads "
                    "cannot share equally"
                )
        return self


class ViTOptions(Config):
    """A Vision Transformer (Dosovitskiy et al. 2021) for volumes of one shape."""

    hidden_size: Width = 768
    """Channels of a token; a multiple of `heads`."""
    mlp_dim: Width = 3072
    """Hidden width of the perceptrons."""
    layers: Layers = 12
    """Transformer blocks."""
    heads: Heads = 12
    """Attention heads."""
    patch: Patch = 16
    """Edge of a token, in voxels."""
    pool: Literal["class", "mean", "first"] = "class"
    """What the head reads: a class token, the mean of all tokens, or the first
    token, as in BrainIAC."""
    dropout: Probability = 0.0
    """Dropout probability."""
    shape: ShapeText = (96, 96, 96)
    """Voxels of the volumes; fine-tuning takes it from the data."""

    @field_validator("heads")
    @classmethod
    def _heads_share(cls, heads: int, info: ValidationInfo) -> int:
        if (width := info.data.get("hidden_size", heads)) % heads:
            raise ValueError(f"must divide hidden_size ({width})")
        return heads

    @field_validator("shape")
    @classmethod
    def _patches_fit(
        cls, shape: tuple[int, int, int], info: ValidationInfo
    ) -> tuple[int, int, int]:
        return check_multiple(shape, info.data.get("patch", 1))


class ViT8mOptions(ViTOptions):
    """A ViT of 8.004 million parameters."""

    hidden_size: Width = 360
    """Channels of a token; a multiple of `heads`."""
    mlp_dim: Width = 768
    """Hidden width of the perceptrons."""
    layers: Layers = 6
    """Transformer blocks."""


class ViTB16SixLayersOptions(ViTOptions):
    """ViT-B/16 cut to six layers."""

    layers: Layers = 6
    """Transformer blocks."""


class ViTB16Options(ViTOptions):
    """ViT-B/16 in full, with the pooling of BrainIAC."""

    pool: Literal["class", "mean", "first"] = "first"
    """What the head reads: a class token, the mean of all tokens, or the first
    token, as in BrainIAC."""


class NeuroimageTransformerOptions(Config):
    """What NiT and MiNiT (Singla et al. 2022) have in common."""

    dim: Width = 256
    """Channels of a token."""
    layers: Layers = 4
    """Transformer blocks."""
    heads: Heads = 8
    """Attention heads."""
    dim_head: Width = 32
    """Channels of each head."""
    mlp_dim: Width = 234
    """Hidden width of the perceptrons."""


class NiTOptions(NeuroimageTransformerOptions):
    """Neuroimage Transformer."""

    patch: Patch = 8
    """Edge of a token, in voxels."""
    dropout: Probability = 0.315
    """Dropout probability in the blocks."""
    embedding_dropout: Probability = 0.0862
    """Dropout probability of the tokens before the first block."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the volumes; fine-tuning takes it from the data."""

    @field_validator("shape")
    @classmethod
    def _patches_fit(
        cls, shape: tuple[int, int, int], info: ValidationInfo
    ) -> tuple[int, int, int]:
        return check_multiple(shape, info.data.get("patch", 1))


class MiNiTOptions(NeuroimageTransformerOptions):
    """Multiple-instance Neuroimage Transformer."""

    layers: Layers = 6
    """Transformer blocks."""
    mlp_dim: Width = 309
    """Hidden width of the perceptrons."""
    blocks: Annotated[int, Field(ge=1, le=16)] = 4
    """Blocks along each axis; at 80 voxels, 4 make blocks of 20."""
    patches: Annotated[int, Field(ge=1, le=16)] = 4
    """Tokens along each axis of a block; at 80 voxels, 4 make patches of 5."""
    dropout: Probability = 0.07
    """Dropout probability in the blocks."""
    embedding_dropout: Probability = 0.016
    """Dropout probability of the tokens before the first block."""
    shape: ShapeText = (80, 80, 80)
    """Voxels of the volumes; fine-tuning takes it from the data."""

    @field_validator("shape")
    @classmethod
    def _blocks_fit(
        cls, shape: tuple[int, int, int], info: ValidationInfo
    ) -> tuple[int, int, int]:
        cells = info.data.get("blocks", 1) * info.data.get("patches", 1)
        return check_multiple(shape, cells)


class SfcnOptions(Config):
    """Simple Fully Convolutional Network (Peng et al. 2021)."""

    channels: tuple[Width, ...] = (32, 64, 128, 256, 256, 64)
    """Channels of each layer."""
    dropout: Probability = 0.5
    """Dropout probability before the head."""


class ResEncOptions(Config):
    """Residual encoder of nnU-Net, size L, as in OpenMind."""

    channels: tuple[Width, ...] = (32, 64, 128, 256, 320, 320)
    """Channels of each stage; each stage after the first halves the edges."""
    blocks: tuple[Layers, ...] = (1, 3, 4, 6, 6, 6)
    """Residual blocks of each stage."""

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        if len(self.channels) != len(self.blocks) or not self.blocks:
            raise ValueError(
                f"channels {self.channels} and blocks {self.blocks} must be "
                "equally many"
            )
        return self
