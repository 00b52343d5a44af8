"""The volumes of a preview as layers, side by side or one above the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_neuropretrain.data.image_files import open_image, read_voxels
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import (
    NAMED_KEY,
    LayerData,
    brain_limits,
    t1_layer,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

PREVIEW_KEY = "neuropretrain_preview"
"""Metadata key of a preview layer: what it shows, for example ``view 1``."""
_TITLE = "preview: "
_SPACING = 0.02


def preview_layers(path: Path) -> list[LayerData]:
    """Return the layers of a preview, the original first.

    All have the same contrast limits. What is 0 around the brain is drawn dark; what
    is hidden from the network keeps its 0, which is grey.

    Parameters
    ----------
    path
        ``preview.json``.

    Raises
    ------
    ImageError
        If a volume cannot be read.
    """
    notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    images: list[Mapping[str, str]] = notes["images"]
    original, affine = _read(path.with_name(images[0]["file"]))
    limits = brain_limits(original, original != 0)
    made = []
    for image in images:
        data = _read(path.with_name(image["file"]))[0]
        around = original == 0 if "restored" in image["name"] else data == 0
        if "hidden" in image:
            around &= _read(path.with_name(image["hidden"]))[0] == 0
        shown = np.where(around, limits[0], data).astype(np.float32)
        known = {PREVIEW_KEY: image["name"], NAMED_KEY: True}
        name = f"{_TITLE}{image['name']}"
        voxels, keywords, kind = t1_layer(shown, affine, name, **known)
        made.append((voxels, keywords | {"contrast_limits": limits}, kind))
    return made


def show_preview(
    viewer: ViewerModel, layers: Sequence[LayerData], beside: bool
) -> list[Layer]:
    """Show a preview in place of an earlier one, cut where that was.

    Parameters
    ----------
    viewer
        Other images are hidden.
    layers
        As `preview_layers` made them.
    beside
        Side by side; else the original is shown and the others are hidden.
    """
    old, point = previews_of(viewer), tuple(viewer.dims.point)
    for layer in viewer.layers:
        layer.visible = False
    for layer in old:
        layer.name = f"{layer.name} (old)"
    added = view.add_layers(viewer, layers)
    # After the new ones, since a viewer that is empty in between forgets its view.
    for layer in old:
        viewer.layers.remove(layer)
    if old:
        viewer.dims.point = point
    arrange(viewer, beside)
    return added


def arrange(viewer: ViewerModel, beside: bool) -> None:
    """Put the layers of a preview side by side, or show the original alone."""
    shown = previews_of(viewer)
    if not shown:
        return
    for number, layer in enumerate(shown):
        layer.visible = beside or number == 0
    grid = viewer.canvas.grid
    grid.stride, grid.spacing, grid.enabled = 1, _SPACING, beside
    viewer.layers.selection.active = shown[0]
    viewer.reset_view(layers=shown, reset_camera_angle=False)


def previews_of(viewer: ViewerModel) -> list[Layer]:
    """Return the layers of a preview, the original first."""
    return [layer for layer in viewer.layers if PREVIEW_KEY in layer.metadata]


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    return read_voxels(path, open_image(path))
