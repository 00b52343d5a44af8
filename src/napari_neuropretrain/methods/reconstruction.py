"""Reconstruction: an autoencoder, or with hidden blocks a denoising one.

The decoder reads the last feature map alone. With shortcuts from the finer maps it
would copy, and the last map, which fine-tuning reads, would learn nothing.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_neuropretrain.config.options.methods import ReconstructionOptions
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.gather import joint_mean
from napari_neuropretrain.methods.heads import BackboneMethod
from napari_neuropretrain.methods.masked_modelling import Restored
from napari_neuropretrain.methods.masking import (
    Triple,
    cells,
    draw_mask,
    join_patches,
    spread,
)
from napari_neuropretrain.methods.precision import in_float32


class Reconstruction(BackboneMethod):
    """Pre-train any backbone by restoring volumes from its last feature map.

    Parameters
    ----------
    options
        Loss, what is hidden, and the decoder.
    backbone
        The network, of any kind.
    """

    def __init__(self, options: ReconstructionOptions, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self.options = options
        self.patch: Triple = backbone.patch_size  # type: ignore[assignment]
        width = options.decoder_width
        self.enter = nn.Conv3d(_channels(backbone), width, 1)
        stages: tuple[tuple[str, ...], ...] = backbone.stages  # type: ignore
        self.layers = nn.ModuleList(_layer(width) for _ in stages[1:])
        self.predict = nn.Conv3d(
            width, self.patch[0] * self.patch[1] * self.patch[2], 1
        )

    def forward(self, volumes: Tensor) -> Tensor:
        """Return the restored volumes."""
        maps: list[Tensor] = self.encoder.stage_maps(volumes)  # type: ignore[operator]
        state = self.enter(maps[-1])
        for layer, finer in zip(self.layers, reversed(maps[:-1]), strict=True):
            if state.shape[2:] != finer.shape[2:]:
                size = list(finer.shape[2:])
                state = functional.interpolate(state, size, mode="trilinear")
            state = layer(state)
        return self._to_voxels(self.predict(state), volumes)

    def _to_voxels(self, predicted: Tensor, volumes: Tensor) -> Tensor:
        x, y, z = (
            cell * edge
            for cell, edge in zip(predicted.shape[2:], self.patch, strict=True)
        )
        patches = predicted.flatten(2).transpose(1, 2)  # (B, voxels, N) -> (B, N, ...)
        whole = join_patches(patches, self.patch, (x, y, z))
        if whole.shape == volumes.shape:
            return whole
        # Convolutions without padding lose some voxels at the edges.
        return functional.interpolate(whole, list(volumes.shape[2:]), mode="trilinear")

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss``, the mean error of all voxels."""
        volumes = batch.volumes[0]
        restored = self.restore(volumes, batch.generator)
        loss = mean_error(restored.prediction, volumes, self.options.loss)
        return {"loss": joint_mean(loss, len(volumes))}

    def restore(
        self, volumes: Tensor, generator: torch.Generator | None = None
    ) -> Restored:
        """Hide blocks of volumes (B, 1, X, Y, Z), if asked, and restore all."""
        x, y, z = volumes.shape[2:]
        mask = torch.zeros_like(volumes, dtype=torch.bool)
        if self.options.mask_ratio:
            block = (self.options.block,) * 3
            grid = cells((x, y, z), block)
            drawn = draw_mask(len(volumes), grid, self.options.mask_ratio, generator)
            mask = spread(drawn, block, (x, y, z))[:, None].to(volumes.device)
        return Restored(self(volumes.masked_fill(mask, 0)), mask)


def _channels(backbone: nn.Module) -> int:
    """Return the channels of the last feature map, without computing it."""
    outline = deepcopy(backbone).to("meta").eval()
    shape = getattr(backbone, "shape", (96, 96, 96))
    maps: list[Tensor] = outline.stage_maps(  # type: ignore[operator]
        torch.empty(1, 1, *shape, device="meta")
    )
    return maps[-1].shape[1]


def _layer(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(width, width, 3, padding=1),
        nn.GroupNorm(1, width),
        nn.LeakyReLU(0.01, inplace=True),
    )


@in_float32
def mean_error(prediction: Tensor, target: Tensor, kind: str = "l1") -> Tensor:
    """Return the mean absolute (``l1``) or squared (``l2``) difference."""
    difference = prediction - target
    return (difference.abs() if kind == "l1" else difference.square()).mean()
