"""Networks and noise of a latent diffusion model, as a bundle's config defines them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_neuropretrain.config.base import Config

Channels = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field()]
Positive = Annotated[int, Field(ge=1, le=4096)]


class AutoencoderDefinition(Config):
    """Arguments of MONAI's ``AutoencoderKL``; the defaults are the published ones."""

    spatial_dims: Annotated[int, Field(ge=3, le=3)] = 3
    in_channels: Annotated[int, Field(ge=1, le=1)] = 1
    out_channels: Annotated[int, Field(ge=1, le=1)] = 1
    latent_channels: Positive = 3
    channels: Channels = (64, 128, 128, 128)
    num_res_blocks: Positive | Channels = 2
    norm_num_groups: Positive = 32
    norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    attention_levels: tuple[bool, ...] = (False, False, False, False)
    with_encoder_nonlocal_attn: bool = False
    with_decoder_nonlocal_attn: bool = False
    use_convtranspose: bool = False
    include_fc: bool = True
    use_combined_linear: bool = False


class DiffusionDefinition(Config):
    """Arguments of MONAI's ``DiffusionModelUNet``; the defaults are the published."""

    spatial_dims: Annotated[int, Field(ge=3, le=3)] = 3
    in_channels: Positive = 7
    out_channels: Positive = 3
    channels: Channels = (256, 512, 768)
    num_res_blocks: Positive | Channels = 2
    attention_levels: tuple[bool, ...] = (False, True, True)
    norm_num_groups: Positive = 32
    norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-6
    resblock_updown: bool = True
    num_head_channels: Annotated[int, Field(ge=0, le=4096)] | tuple[int, ...] = (
        0,
        512,
        768,
    )
    with_conditioning: bool = True
    transformer_num_layers: Positive = 1
    cross_attention_dim: Annotated[int, Field(ge=4, le=4)] = 4
    upcast_attention: bool = True
    dropout_cattn: Annotated[float, Field(ge=0, lt=1)] = 0.0
    include_fc: bool = True
    use_combined_linear: bool = False


class SchedulerDefinition(Config):
    """Arguments of MONAI's ``DDIMScheduler``; the defaults are the published ones."""

    num_train_timesteps: Annotated[int, Field(ge=2, le=100_000)] = 1000
    schedule: Literal["linear_beta", "scaled_linear_beta"] = "scaled_linear_beta"
    beta_start: Annotated[float, Field(gt=0, lt=1)] = 0.0015
    beta_end: Annotated[float, Field(gt=0, lt=1)] = 0.0205
    clip_sample: bool = False
    set_alpha_to_one: bool = True
    steps_offset: Annotated[int, Field(ge=0, le=100_000)] = 0
    prediction_type: Literal["epsilon", "sample", "v_prediction"] = "epsilon"
