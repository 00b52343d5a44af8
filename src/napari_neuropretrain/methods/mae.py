"""Masked autoencoder: restore the voxels of hidden blocks.

He, Chen, Xie, Li, Dollar and Girshick (2022), "Masked autoencoders are scalable
vision learners". Hidden tokens never enter a ViT or a NiT. Attention of Swin needs
every place of its windows: there a learned token takes the place of hidden ones, and
the decoder is one linear layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.options.methods import MaeOptions
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.masked_modelling import MaskedModelling, Restored
from napari_neuropretrain.methods.masking import (
    Triple,
    masked_mean,
    normalise_blocks,
    restore_blocks,
)
from napari_neuropretrain.methods.precision import in_float32


class Mae(MaskedModelling):
    """Pre-train a backbone of tokens by restoring what was hidden.

    Parameters
    ----------
    options
        How much is hidden, and the decoder.
    backbone
        ViT, NiT or Swin.
    """

    name = "mae"

    def __init__(self, options: MaeOptions, backbone: nn.Module) -> None:
        super().__init__(options, backbone)
        self.options = options
        voxels = self.cell[0] * self.cell[1] * self.cell[2]
        dim: int = backbone.feature_dim  # type: ignore[assignment]
        if self.is_map:
            first: int = backbone.patch_embed.proj.out_channels  # type: ignore
            self.mask_token = nn.Parameter(0.02 * torch.randn(first))
            self.decoder: nn.Module = nn.Linear(dim, voxels)
            return
        self._check_blocks(backbone.shape)  # type: ignore[arg-type]
        self.decoder = TokenDecoder(options, dim, backbone.grid, voxels)  # type: ignore

    def _check_blocks(self, shape: Triple) -> None:
        """Blocks cut at the edge would leave some volumes more tokens than others."""
        if any(edge % one for edge, one in zip(shape, self.block, strict=True)):
            raise ConfigError(
                f"block: {self.block[0]} voxels do not divide volumes of "
                f"{'x'.join(map(str, shape))}. Choose another block, or 0."
            )

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss``, the squared error of hidden voxels."""
        volumes = batch.volumes[0]
        restored = self.restore(volumes, batch.generator)
        target = volumes
        if self.options.normalise_blocks:
            target = normalise_blocks(volumes, self.block)
        mask = self.counted(restored, batch)
        return {"loss": squared_error(restored.prediction, target, mask)}

    def restore(
        self, volumes: Tensor, generator: torch.Generator | None = None
    ) -> Restored:
        """Hide blocks of volumes (B, 1, X, Y, Z) and predict them."""
        mask = self.draw(volumes, generator)
        if self.is_map:
            tokens = self.encode_filled(volumes, mask, self.mask_token)
            return self.to_voxels(self.decoder(tokens), mask, volumes)
        seen = mask.flatten(1).logical_not()
        # Stable, so that the tokens that stay keep their order.
        order = seen.long().argsort(dim=1, descending=True, stable=True)
        kept = order[:, : int(seen[0].sum())]
        steps = self.encoder
        tokens = steps.add_positions(steps.embed(volumes))  # type: ignore[operator]
        index = kept[..., None].expand(-1, -1, tokens.shape[2])
        encoded = steps.run_blocks(tokens.gather(1, index))[1]  # type: ignore[operator]
        return self.to_voxels(self.decoder(encoded, kept), mask, volumes)

    def undo_normalisation(self, prediction: Tensor, volumes: Tensor) -> Tensor:
        """Return predicted intensities (B, 1, X, Y, Z), for people to look at.

        Where blocks are normalised, the network does not learn their mean and
        deviation: those of the true `volumes` are put in.
        """
        if not self.options.normalise_blocks:
            return prediction
        return restore_blocks(prediction, volumes, self.block)


class TokenDecoder(nn.Module):
    """A light transformer from the tokens that were seen to voxels of all.

    Parameters
    ----------
    options
        Width, depth and heads.
    dim
        Channels of the encoder's tokens.
    grid
        All tokens along x, y and z.
    voxels
        Of a patch.
    """

    positions: Tensor

    def __init__(
        self, options: MaeOptions, dim: int, grid: Triple, voxels: int
    ) -> None:
        super().__init__()
        width = options.decoder_width
        self.embed = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("positions", sine_positions(grid, width), persistent=False)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                options.decoder_heads,
                4 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(options.decoder_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.predict = nn.Linear(width, voxels)

    def forward(self, tokens: Tensor, kept: Tensor) -> Tensor:
        """Return voxels (B, N, voxels) of tokens (B, n, C) at places (B, n)."""
        seen = self.embed(tokens)
        count, width = len(self.positions), seen.shape[2]
        state = self.mask_token.to(seen.dtype).repeat(len(seen), count, 1)
        state = state.scatter(1, kept[..., None].expand(-1, -1, width), seen)
        state = state + self.positions
        for block in self.blocks:
            state = block(state)
        voxels: Tensor = self.predict(self.norm(state))
        return voxels


def sine_positions(grid: Triple, width: int) -> Tensor:
    """Return fixed position embeddings (N, width): sines and cosines for each axis.

    Vaswani et al. (2017), a third of the channels for each of x, y and z.
    """
    sixth = width // 6
    rates = 10_000 ** (-torch.arange(sixth) / sixth)
    places = torch.meshgrid(*[torch.arange(edge) for edge in grid], indexing="ij")
    angles = [place.reshape(-1, 1) * rates for place in places]
    return torch.cat([wave for a in angles for wave in (a.sin(), a.cos())], dim=1)


@in_float32
def squared_error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error where `mask`; all (B, 1, X, Y, Z)."""
    return masked_mean((prediction - target).square(), mask)
