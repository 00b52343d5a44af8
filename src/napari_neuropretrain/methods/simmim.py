"""SimMIM: a learned token takes the place of hidden ones; one linear layer restores.

Xie et al. (2022), "SimMIM: a simple framework for masked image modeling".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.options.methods import SimMimOptions
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.masked_modelling import MaskedModelling, Restored
from napari_neuropretrain.methods.masking import masked_mean
from napari_neuropretrain.methods.precision import in_float32


class SimMim(MaskedModelling):
    """Pre-train a backbone of tokens by restoring what was hidden.

    Parameters
    ----------
    options
        How much is hidden.
    backbone
        ViT, NiT or Swin.
    """

    name = "simmim"

    def __init__(self, options: SimMimOptions, backbone: nn.Module) -> None:
        super().__init__(options, backbone)
        dim: int = backbone.feature_dim  # type: ignore[assignment]
        first = dim
        if self.is_map:
            first = backbone.patch_embed.proj.out_channels  # type: ignore
        self.mask_token = nn.Parameter(0.02 * torch.randn(first))
        self.decoder = nn.Linear(dim, self.cell[0] * self.cell[1] * self.cell[2])

    def loss(self, batch: PretrainBatch) -> dict[str, Tensor]:
        """Return ``loss``, the absolute error of hidden voxels."""
        volumes = batch.volumes[0]
        restored = self.restore(volumes, batch.generator)
        mask = self.counted(restored, batch)
        return {"loss": absolute_error(restored.prediction, volumes, mask)}

    def restore(
        self, volumes: Tensor, generator: torch.Generator | None = None
    ) -> Restored:
        """Hide blocks of volumes (B, 1, X, Y, Z) and predict them."""
        mask = self.draw(volumes, generator)
        tokens = self.encode_filled(volumes, mask, self.mask_token)
        return self.to_voxels(self.decoder(tokens), mask, volumes)


@in_float32
def absolute_error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean absolute error where `mask`; all (B, 1, X, Y, Z)."""
    return masked_mean((prediction - target).abs(), mask)
