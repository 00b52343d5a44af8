"""The adapter to napari, with `view`: volumes become layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils import DirectLabelColormap
from numpy.typing import NDArray

from napari_neuropretrain.data.orientation import (
    obliqueness_degrees,
    to_canonical,
    to_napari,
)
from napari_neuropretrain.gui.scans.overlay import (
    START_FRACTION,
    OverlayLook,
    look_colormap,
    symmetric_limit,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

LayerData: TypeAlias = tuple[NDArray[Any], dict[str, Any], str]

OCCLUSION_KEY = "neuropretrain_occlusion_limit"
"""Metadata key of an occlusion layer: its symmetric limit."""
FRACTION_KEY = "neuropretrain_occlusion_fraction"
"""Metadata key of an occlusion layer: the share of the limit that is hidden."""
LOOK_KEY = "neuropretrain_look"
"""Metadata key of an occlusion layer: its `OverlayLook`."""
CONTOUR_KEY = "neuropretrain_contour"
"""Metadata key of a labels layer: the width of the outline it is drawn as."""
SIDE_KEY = "neuropretrain_side"
"""Metadata key of a layer that shows a scan `BEFORE` or `AFTER` preprocessing."""
BEFORE, AFTER = "before", "after"
NAMED_KEY = "neuropretrain_named"
"""Metadata key of a layer whose name is written on the canvas."""

_OBLIQUE_DEGREES = 1.0
_MASK_COLORS = {None: "transparent", 1: "#21d19f"}
_EDGE_COLORS = {None: "transparent", 1: "#ff5d5d", 2: "#ffc83d"}


def t1_layer(
    data: NDArray[Any], affine: NDArray[Any], name: str, **metadata: Any
) -> LayerData:
    """Describe a T1-weighted volume as an image layer in mm.

    Parameters
    ----------
    data
        Voxels in any order.
    affine
        Voxel to RAS mm (4, 4) of that array; kept in the metadata.
    name
        Name of the layer.
    **metadata
        More to keep with the layer.
    """
    limits = display_limits(data)
    look = {
        "colormap": "gray",
        "contrast_limits": limits,
        "blending": "translucent_no_depth",
        "rendering": "attenuated_mip",
        "attenuation": 0.5,
    }
    if (angle := obliqueness_degrees(affine)) > _OBLIQUE_DEGREES:
        name = f"{name} (oblique {angle:.0f}°)"
    return _place(data.astype(np.float32, copy=False), affine, name, look, metadata)


def mask_layer(
    mask: NDArray[Any], affine: NDArray[Any], name: str, **metadata: Any
) -> LayerData:
    """Describe a brain mask as an outlined labels layer."""
    look = {"opacity": 0.9, "colormap": DirectLabelColormap(color_dict=_MASK_COLORS)}
    inside = (mask > 0.5).astype(np.uint8)
    known = {CONTOUR_KEY: 1, **metadata}
    labels, keywords, _ = _place(inside, affine, name, look, known)
    return labels, keywords, "labels"


def edges_layer(
    edges: NDArray[np.uint8], affine: NDArray[Any], name: str, **metadata: Any
) -> LayerData:
    """Describe thin lines, 1 the brain's outline and 2 tissue edges, as labels."""
    look = {"opacity": 0.9, "colormap": DirectLabelColormap(color_dict=_EDGE_COLORS)}
    labels, keywords, _ = _place(edges, affine, name, look, metadata)
    return labels, keywords, "labels"


def labels_layer(
    labels: NDArray[Any], affine: NDArray[Any], name: str, **metadata: Any
) -> LayerData:
    """Describe a label image, such as regions, as a labels layer."""
    numbers = np.rint(labels).astype(np.int32)
    data, keywords, _ = _place(numbers, affine, name, {"opacity": 0.4}, metadata)
    return data, keywords, "labels"


def occlusion_layer(
    data: NDArray[Any],
    affine: NDArray[Any],
    name: str,
    fraction: float = START_FRACTION,
    **metadata: Any,
) -> LayerData:
    """Describe an occlusion map as a two-sided overlay.

    Parameters
    ----------
    fraction
        Values below this share of the largest are transparent.
    """
    limit = symmetric_limit(data)
    drawn = OverlayLook(fraction * limit, limit)
    look = {
        "colormap": look_colormap(drawn, limit),
        "contrast_limits": (-limit, limit),
        "blending": "translucent_no_depth",
        # The default, a maximum projection, hides negative clusters.
        "rendering": "translucent",
        "interpolation2d": "nearest",
        "interpolation3d": "nearest",
    }
    finite = np.nan_to_num(data.astype(np.float32, copy=False))
    known = {OCCLUSION_KEY: limit, FRACTION_KEY: fraction, LOOK_KEY: drawn}
    return _place(finite, affine, name, look, {**metadata, **known})


def display_limits(data: NDArray[Any]) -> tuple[float, float]:
    """Return contrast limits that ignore air and a few very bright voxels."""
    sample = data[::2, ::2, ::2] if data.size > 10**6 else data
    seen = sample[np.isfinite(sample) & (sample != 0)]
    if seen.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(seen, (1, 99.7)))
    low = min(low, 0.0)
    return low, max(high, low + 1e-6)


def outside_dark(data: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    """Return a copy with the surroundings of the brain at the darkest value.

    A z-scored volume is 0 outside the brain, which would be drawn mid-grey.
    """
    return np.where(mask > 0.5, data, brain_limits(data, mask)[0])


def brain_limits(data: NDArray[Any], mask: NDArray[Any]) -> tuple[float, float]:
    """Return contrast limits of a z-scored brain: white matter is light, not white."""
    inside = data[mask > 0.5]
    if inside.size == 0:
        return display_limits(data)
    low, high = (float(value) for value in np.percentile(inside, (3, 99.7)))
    return low, high + max(0.2 * (high - low), 1e-6)


def set_threshold(layer: Layer, fraction: float) -> float:
    """Hide an occlusion layer below a share of its limit; return the threshold."""
    threshold = fraction * float(layer.metadata[OCCLUSION_KEY])
    if isinstance(layer, Image):
        set_look(layer, replace(look_of(layer), threshold=threshold))
    return threshold


def look_of(layer: Layer) -> OverlayLook:
    """Return how an occlusion layer is drawn."""
    look: OverlayLook = layer.metadata[LOOK_KEY]
    return look


def set_look(layer: Image, look: OverlayLook) -> None:
    """Draw an occlusion layer another way, symmetric about 0."""
    largest = float(layer.metadata[OCCLUSION_KEY])
    limit = look.contrast_limit(largest)
    layer.metadata[LOOK_KEY] = look
    layer.metadata[FRACTION_KEY] = look.threshold / largest
    layer.contrast_limits = (-limit, limit)
    layer.colormap = look_colormap(look, limit)


def occlusion_layers(viewer: ViewerModel) -> list[Layer]:
    """Return the occlusion layers of a viewer."""
    return [layer for layer in viewer.layers if OCCLUSION_KEY in layer.metadata]


def _place(
    data: NDArray[Any],
    affine: NDArray[Any],
    name: str,
    look: dict[str, Any],
    metadata: dict[str, Any],
) -> LayerData:
    """Turn voxels into napari's (Z, Y, X), placed in mm."""
    placed = to_napari(*to_canonical(data, affine))
    angle = obliqueness_degrees(affine)
    notes = list(metadata.pop("notes", ()))
    if angle > _OBLIQUE_DEGREES:
        notes.append(f"Oblique by {angle:.1f} degrees; shown straightened.")
    keywords = {
        "name": name,
        "scale": placed.scale,
        "translate": placed.translate,
        "units": ("mm", "mm", "mm"),
        "axis_labels": ("z", "y", "x"),
        "metadata": {"affine": np.asarray(affine), "notes": notes, **metadata},
        **look,
    }
    return placed.data, keywords, "image"


def finish(layer: Layer) -> None:
    """Set what a layer cannot be created with."""
    if OCCLUSION_KEY in layer.metadata and isinstance(layer, Image):
        layer.colorbar.visible = True
    elif NAMED_KEY in layer.metadata:
        layer.name_overlay.visible = True
        layer.name_overlay.position = "bottom_left"
        layer.name_overlay.font_size = 8
    elif isinstance(layer, Labels):
        layer.contour = int(layer.metadata.get(CONTOUR_KEY, 0))
