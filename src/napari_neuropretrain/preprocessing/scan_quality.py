"""Measure and draw one scan where its files are: right after it was preprocessed."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.bids import PREPROCESSED_SUFFIX
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.data.volumes import Volume, read_volume
from napari_neuropretrain.preprocessing.derivatives import (
    SCAN_MASK_SUFFIX,
    read_derivative,
    sidecar,
)
from napari_neuropretrain.preprocessing.pipeline import Preprocessed
from napari_neuropretrain.preprocessing.quality import MEASURES, measure_quality
from napari_neuropretrain.preprocessing.quality_mosaic import draw_mosaic

FIGURES = "figures"


def figure_path(output: Path, key: str) -> Path:
    """Return where the mosaic of a scan belongs.

    Examples
    --------
    >>> figure_path(Path("out"), "sub-01").as_posix()
    'out/figures/sub-01_quality.png'
    """
    return Path(output) / FIGURES / f"{key}_quality.png"


def with_quality(volume: Volume, done: Preprocessed) -> Preprocessed:
    """Add the measures of `measure_quality` to a scan's details; None for NaN."""
    started = time.perf_counter()
    measured = {
        name: value if math.isfinite(value) else None
        for name, value in measure_quality(volume, done).items()
    }
    seconds = dict(done.details.get("seconds", {}))
    seconds["quality"] = round(time.perf_counter() - started, 2)
    return replace(done, details=done.details | measured | {"seconds": seconds})


def complete_quality(
    scan: Scan, image: Path, output: Path, quality: dict[str, Any]
) -> dict[str, Any]:
    """Measure or draw what a scan that was done before lacks; it takes a second.

    Parameters
    ----------
    scan
        The raw scan.
    image
        Its derivative.
    output
        Root of the derivatives.
    quality
        What its JSON says.

    Returns
    -------
    dict
        The quality with every measure, also written into the JSON.
    """
    figure = figure_path(output, scan.key)
    measured = all(name in quality for name in MEASURES)
    if measured and figure.exists():
        return quality
    volume = read_volume(scan.path)
    done = _read_preprocessed(image, quality)
    if not measured:
        done = with_quality(volume, done)
        notes = read_derivative(image).json | {"Quality": done.details}
        text = json.dumps(notes, indent=2, ensure_ascii=False)
        write_text(sidecar(image), text + "\n")
    draw_mosaic(figure, scan.key, volume, done)
    return done.details


def _read_preprocessed(image: Path, quality: dict[str, Any]) -> Preprocessed:
    """Read a derivative back as the pipeline returned it."""
    derivative = read_derivative(image)
    name = str(image).removesuffix(PREPROCESSED_SUFFIX) + SCAN_MASK_SUFFIX
    return Preprocessed(
        derivative.image,
        derivative.affine,
        derivative.brain_mask,
        np.asarray(read_volume(name).data > 0.5),
        derivative.transform,
        quality,
    )
