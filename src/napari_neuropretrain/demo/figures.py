"""The mosaic of the demo's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_neuropretrain.preprocessing.derivatives import Derivative
from napari_neuropretrain.reporting.figures import inline

_BRAIN_WINDOW = (-2.5, 2.5)


def slice_of(volume: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """Return one slice of a RAS volume, with the top (or front) of the head up.

    Examples
    --------
    >>> slice_of(np.arange(8).reshape(2, 2, 2), axis=2, index=0).tolist()
    [[2, 6], [0, 4]]
    """
    return np.flipud(np.take(volume, index, axis=axis).T)


def draw_mosaic(scans: Sequence[tuple[str, Derivative]]) -> str:
    """Draw three middle slices of each scan with the outline of its brain mask."""
    figure = Figure(figsize=(1.6 * len(scans), 4.8), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(scans), squeeze=False)
    for column, (name, scan) in enumerate(scans):
        axes[0][column].set_title(name, color="white", fontsize=9)
        for axis in range(3):
            middle = scan.image.shape[axis] // 2
            _show_anatomy(axes[axis][column], scan, axis, middle)
            mask = slice_of(scan.brain_mask, axis, middle).astype(float)
            axes[axis][column].contour(mask, [0.5], colors="#ffb000", linewidths=0.8)
    figure.tight_layout(pad=0.2)
    return inline(figure, "Preprocessed scans with brain mask outlines")


def _show_anatomy(picture: Any, scan: Derivative, axis: int, index: int) -> None:
    low, high = _BRAIN_WINDOW
    inside = slice_of(np.where(scan.brain_mask, scan.image, low), axis, index)
    picture.imshow(inside, cmap="gray", vmin=low, vmax=high)
    picture.set_axis_off()
    if axis != 0:
        for side, x in (("L", 0.02), ("R", 0.93)):
            picture.text(
                x, 0.02, side, color="white", fontsize=8, transform=picture.transAxes
            )
