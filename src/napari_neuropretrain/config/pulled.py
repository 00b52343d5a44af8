"""Where pulled weights are kept; nothing is read."""

from __future__ import annotations

import os
from pathlib import Path

from napari_neuropretrain.config.weights_catalog import KnownWeights

FOLDER_VARIABLE = "NEUROPRETRAIN_CACHE"


def cache_folder() -> Path:
    """Return the folder of pulled weights.

    It is ``NEUROPRETRAIN_CACHE``, or the usual place for caches of this system.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder) / "weights"
    import pooch

    return Path(pooch.os_cache("napari-neuropretrain")) / "weights"


def cached_file(known: KnownWeights) -> Path:
    """Return where the file of known weights is, or would be."""
    return cache_folder() / known.file


def record_path(known: KnownWeights) -> Path:
    """Return where it is noted what is known about a pulled file."""
    path = cached_file(known)
    return path.with_name(path.name + ".pulled.json")


def is_pulled(known: KnownWeights) -> bool:
    """Whether the file is there; its hash is compared when it is used."""
    return record_path(known).is_file() and cached_file(known).is_file()


def pull_command(known: KnownWeights) -> str:
    """Return what to type to pull weights, with the flags they need.

    Examples
    --------
    >>> from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
    >>> pull_command(KNOWN_WEIGHTS["kinetics_swin_t"])
    'neuropretrain weights pull kinetics_swin_t'
    """
    words = ["neuropretrain weights pull", known.name]
    words += ["--accept-licence"] if known.needs_consent else []
    words += [] if known.verifiable else ["--unverified"]
    return " ".join(words)
