"""Settings of the job that trains the brain mask network."""

from __future__ import annotations

from pathlib import Path

from napari_neuropretrain.config.base import Config


class TrainBrainMaskConfig(Config):
    """Train the brain mask network on synthetic heads made from label maps."""

    label_maps: Path
    """Folder of label maps."""
    output: Path
    """Run folder for the weights."""
