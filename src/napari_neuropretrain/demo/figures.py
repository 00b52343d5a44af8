"""Pictures of the demo's page, as PNG inside the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_neuropretrain.preprocessing.derivatives import Derivative

PLANES = ("sagittal", "coronal", "axial")
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
    axes = figure.subplots(3, len(scans), squeeze=False)
    for column, (name, scan) in enumerate(scans):
        axes[0][column].set_title(name, color="white", fontsize=9)
        for axis in range(3):
            middle = scan.image.shape[axis] // 2
            _show_anatomy(axes[axis][column], scan, axis, middle)
            mask = slice_of(scan.brain_mask, axis, middle).astype(float)
            axes[axis][column].contour(mask, [0.5], colors="#ffb000", linewidths=0.8)
    figure.tight_layout(pad=0.2)
    return _inline(figure, "Preprocessed scans with brain mask outlines")


def draw_training(epochs: Sequence[dict[str, Any]]) -> str:
    """Draw the losses by epoch, and mark the epoch that was kept."""
    figure = Figure(figsize=(6.0, 3.0))
    axis = figure.subplots()
    numbers = [values["epoch"] for values in epochs]
    for name, label in (("loss", "training"), ("validation_loss", "validation")):
        axis.plot(numbers, [values[name] for values in epochs], label=label)
    best = min(epochs, key=lambda values: float(values["validation_loss"]))["epoch"]
    axis.axvline(best, color="grey", linestyle=":", label=f"kept: epoch {best}")
    axis.set_xlabel("epoch")
    axis.set_ylabel("cross-entropy")
    axis.legend(frameon=False)
    figure.tight_layout()
    return _inline(figure, "Training and validation loss by epoch")


def draw_occlusion(
    scan: Derivative,
    occlusion: NDArray[np.float32],
    region: NDArray[np.bool_],
    threshold: float,
    unit: str,
) -> str:
    """Draw a map over its scan in three planes through its strongest voxel.

    Parameters
    ----------
    threshold
        Absolute value below which the map is transparent.
    region
        Outlined in green.
    """
    figure = Figure(figsize=(9.5, 3.6), facecolor="black")
    axes = figure.subplots(1, 3)
    limit = float(np.abs(occlusion).max()) or 1.0
    place = np.unravel_index(int(np.abs(occlusion).argmax()), occlusion.shape)
    # What is NaN is left transparent.
    shown = np.where(np.abs(occlusion) < threshold, np.nan, occlusion)
    overlays = []
    for axis, picture in enumerate(axes):
        index = int(place[axis])
        _show_anatomy(picture, scan, axis, index)
        hot = slice_of(shown, axis, index)
        norm = Normalize(-limit, limit)
        overlays.append(picture.imshow(hot, cmap="RdBu_r", norm=norm, alpha=0.75))
        outline = slice_of(region, axis, index).astype(float)
        if outline.any():
            picture.contour(outline, [0.5], colors="#33dd55", linewidths=1.0)
        mm = scan.affine[axis, axis] * index + scan.affine[axis, 3]
        title = f"{PLANES[axis]}, {'xyz'[axis]} = {mm:.0f} mm"
        picture.set_title(title, color="white", fontsize=9)
    bar = figure.colorbar(overlays[0], ax=axes, shrink=0.8, pad=0.02)
    bar.set_label(f"drop when hidden ({unit})", color="white")
    bar.ax.tick_params(colors="white")
    return _inline(figure, "Occlusion map over the scan, planted region in green")


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


def _inline(figure: Figure, description: str) -> str:
    """Return an ``img`` element that carries the picture itself."""
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, facecolor=figure.get_facecolor())
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="{description}" src="data:image/png;base64,{data}">'
