"""What MAE and SimMIM share: hide blocks, predict the voxels of what was hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from napari_neuropretrain.config.options.methods import MaskedOptions
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.methods.batch import PretrainBatch
from napari_neuropretrain.methods.heads import BackboneMethod
from napari_neuropretrain.methods.masking import (
    Triple,
    cells,
    draw_mask,
    join_patches,
    spread,
)

_SMALL = 16
"""Voxels of a hidden block where patches are smaller: one small hidden patch could
be filled in from its neighbours."""


@dataclass(frozen=True, eq=False)
class Restored:
    """A batch as the method sees it and restores it; each (B, 1, X, Y, Z).

    Parameters
    ----------
    prediction
        Of every voxel; what was not hidden is not trained.
    mask
        True where hidden.
    """

    prediction: Tensor
    mask: Tensor


class MaskedModelling(BackboneMethod):
    """Pre-train a backbone of tokens by hiding some of them.

    Parameters
    ----------
    options
        How much is hidden.
    backbone
        Made of tokens, with the steps `embed` and `run_blocks`.

    Raises
    ------
    ConfigError
        If the backbone has no such steps.
    """

    name: ClassVar[str] = ""
    """Of the method, for messages."""

    def __init__(self, options: MaskedOptions, backbone: nn.Module) -> None:
        self.check_backbone(backbone)
        super().__init__(backbone)
        self.masked = options
        self.patch: Triple = backbone.patch_size  # type: ignore[assignment]
        self.cell: Triple = getattr(backbone, "cell_size", self.patch)
        self.is_map = backbone.token_layout == "map"
        least = options.block or (_SMALL if self.is_map else 1)
        x, y, z = (-(-least // edge) * edge for edge in self.patch)
        self.block: Triple = (x, y, z)

    @classmethod
    def check_backbone(cls, backbone: nn.Module) -> None:
        """Refuse a backbone from which no token can be left out."""
        check_tokens(backbone, cls.name)

    def forward(self, volumes: Tensor) -> Tensor:
        """Return the features (B, C) of whole volumes."""
        return self.features(volumes)

    def draw(self, volumes: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return which patch tokens are hidden, bool (B, x, y, z)."""
        x, y, z = volumes.shape[2:]
        blocks = cells((x, y, z), self.block)
        if min(blocks) * max(blocks) == 1:
            raise ConfigError(
                f"block: a volume of {x}x{y}x{z} voxels is a single block of "
                f"{'x'.join(map(str, self.block))}. Choose a smaller block."
            )
        mask = draw_mask(len(volumes), blocks, self.masked.mask_ratio, generator)
        a, b, c = (e // p for e, p in zip(self.block, self.patch, strict=True))
        tokens = cells((x, y, z), self.patch)
        return spread(mask, (a, b, c), tokens).to(volumes.device)

    def encode_filled(self, volumes: Tensor, mask: Tensor, token: Tensor) -> Tensor:
        """Return the last tokens (B, N, C) where hidden ones are `token` at first."""
        steps = self.encoder
        tokens = steps.embed(volumes)  # type: ignore[operator]
        if self.is_map:
            filled = torch.where(mask[..., None], token.to(tokens.dtype), tokens)
            last: Tensor = steps.run_blocks(filled)  # type: ignore[operator]
            return last.flatten(1, 3)  # (B, x, y, z, C) -> (B, N, C)
        filled = torch.where(mask.flatten(1)[..., None], token.to(tokens.dtype), tokens)
        placed = steps.add_positions(filled)  # type: ignore[operator]
        encoded: Tensor = steps.run_blocks(placed)[1]  # type: ignore[operator]
        return encoded

    def to_voxels(self, patches: Tensor, mask: Tensor, volumes: Tensor) -> Restored:
        """Lay predicted voxels (B, N, voxels) and the mask out as volumes."""
        x, y, z = volumes.shape[2:]
        hidden = spread(mask, self.patch, (x, y, z))[:, None]
        return Restored(join_patches(patches, self.cell, (x, y, z)), hidden)

    def counted(self, restored: Restored, batch: PretrainBatch) -> Tensor:
        """Return the voxels that count, bool (B, 1, X, Y, Z)."""
        if self.masked.brain_only and batch.brain_mask is not None:
            return restored.mask & batch.brain_mask
        return restored.mask


def check_tokens(backbone: nn.Module, name: str) -> None:
    """Refuse a backbone from which no token can be left out.

    Raises
    ------
    ConfigError
        Says why, and what to choose.
    """
    if getattr(backbone, "token_layout", "") in ("sequence", "map"):
        return
    if hasattr(backbone, "block_embeddings"):
        why = "reads its blocks one by one, each with all of its tokens"
    else:
        why = "is convolutional: it has no tokens to hide"
    raise ConfigError(
        f"method: {name} does not work with {type(backbone).__name__}, which {why}. "
        "Choose vit_8m, vit_b16_6l, vit_b16, nit or swin_t; or the method "
        "reconstruction with a mask_ratio, which works with every backbone."
    )
