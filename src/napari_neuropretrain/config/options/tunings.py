"""Options of the tuning strategies."""

from napari_neuropretrain.config.base import Config


class FullTuningOptions(Config):
    """Train every parameter; nothing to choose."""
