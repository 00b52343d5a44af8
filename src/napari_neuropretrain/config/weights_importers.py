"""Importers: which layouts of published weight files are understood."""

from __future__ import annotations

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.registry import Registry


class ImporterOptions(Config):
    """An importer has no options."""


_LAYOUTS = "napari_neuropretrain.weights.layouts:"

IMPORTERS = Registry("importer")
IMPORTERS.register(
    "ours",
    "Files that carry the names of our own backbones",
    ImporterOptions,
    _LAYOUTS + "OURS",
    backbones=(),
)
IMPORTERS.register(
    "torchvision_swin",
    "Video Swin of torchvision (swin3d_t)",
    ImporterOptions,
    _LAYOUTS + "TORCHVISION_SWIN",
    backbones=("swin_t",),
)
IMPORTERS.register(
    "video_swin",
    "Video Swin of its authors and of mmaction2",
    ImporterOptions,
    _LAYOUTS + "VIDEO_SWIN",
    backbones=("swin_t",),
)
IMPORTERS.register(
    "monai_densenet",
    "Any 3D DenseNet of MONAI",
    ImporterOptions,
    _LAYOUTS + "MONAI_DENSENET",
    backbones=("densenet121", "tiny_densenet"),
)
IMPORTERS.register(
    "yaware_densenet",
    "3D DenseNet of y-aware contrastive learning, with torchvision's names",
    ImporterOptions,
    _LAYOUTS + "PLAIN_DENSENET",
    backbones=("densenet121", "tiny_densenet"),
)
IMPORTERS.register(
    "sfcn",
    "SFCN brain age network",
    ImporterOptions,
    _LAYOUTS + "SFCN",
    backbones=("sfcn",),
)
IMPORTERS.register(
    "resenc_l",
    "Residual encoder of nnU-Net and nnssl",
    ImporterOptions,
    _LAYOUTS + "RESENC",
    backbones=("resenc_l",),
)
IMPORTERS.register(
    "monai_vit",
    "Any 3D ViT of MONAI",
    ImporterOptions,
    _LAYOUTS + "MONAI_VIT",
    backbones=("vit_b16", "vit_b16_6l", "vit_8m"),
)
IMPORTERS.register(
    "brainiac",
    "BrainIAC (MONAI's ViT-B, 12 layers)",
    ImporterOptions,
    _LAYOUTS + "MONAI_VIT",
    backbones=("vit_b16",),
)
