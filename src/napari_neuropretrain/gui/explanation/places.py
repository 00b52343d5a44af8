"""What is at a place: coordinates, the map's value with its unit, the region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from napari_neuropretrain.gui.explanation.slices import value_at
from napari_neuropretrain.gui.explanation.spaces import (
    TO_TEMPLATE_KEY,
    in_own_space,
    in_template,
)
from napari_neuropretrain.gui.scans.layers import (
    CONTOUR_KEY,
    SIDE_KEY,
    occlusion_layers,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

REGIONS_KEY = "neuropretrain_regions"
"""Metadata key of a labels layer in template space: names of its numbers."""
TEMPLATE, OWN = "template", "own"
RANDOM = "_desc-randomised_map"
"""In the names of maps of a randomised network."""
_SPACES = {"_space-MNI152": TEMPLATE, "_space-T1w": OWN}


def shown_map(viewer: ViewerModel) -> Image | None:
    """Return the selected occlusion map, else the topmost visible one, else any."""
    maps = [one for one in occlusion_layers(viewer) if isinstance(one, Image)]
    active = viewer.layers.selection.active
    if isinstance(active, Image) and active in maps:
        return active
    seen = [one for one in maps if one.visible] or maps
    return seen[-1] if seen else None


def explanation_of(layer: Layer) -> Mapping[str, Any]:
    """Return what the job noted about a map; empty for one of other origin."""
    found: Mapping[str, Any] = layer.metadata.get("explanation") or {}
    return found


def unit_of(layer: Layer) -> str:
    """Return the unit of a map, in words, or an empty string."""
    return str(explanation_of(layer).get("unit") or layer.metadata.get("unit") or "")


def space_of(layer: Layer) -> str:
    """Return `TEMPLATE` or `OWN` by the name of a map's file, else nothing."""
    path = str(layer.metadata.get("path") or "")
    return next((space for mark, space in _SPACES.items() if mark in path), "")


def is_check(layer: Layer) -> bool:
    """Return whether a map is a randomised network's, which only checks another."""
    return RANDOM in str(layer.metadata.get("path") or "")


def number(value: float) -> str:
    """Write a signed number with three digits.

    Examples
    --------
    >>> number(-0.01834), number(0.0), number(12.0)
    ('−0.0183', '0', '+12')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    return f"{value:+.3g}".replace("-", "−")


def in_mm(point: Sequence[float]) -> str:
    """Write (z, y, x) as people say it.

    Examples
    --------
    >>> in_mm((-23.5, -21.52, 28.0))
    'x 28.0, y −21.5, z −23.5 mm'
    """
    z, y, x = (f"{one:z.1f}".replace("-", "−") for one in tuple(point)[-3:])
    return f"x {x}, y {y}, z {z} mm"


def sentence_at(viewer: ViewerModel, point: Sequence[float]) -> str:
    """Say what is at a world point: where, how much, and in which region."""
    parts = [in_mm(point)]
    layer = shown_map(viewer)
    if layer is not None and (value := value_at(layer, point)) is not None:
        parts.append(f"{number(value)} {unit_of(layer)}".strip())
    if region := region_at(viewer, point, layer):
        parts.append(region)
    return " · ".join(parts)


def region_at(
    viewer: ViewerModel, point: Sequence[float], shown: Layer | None = None
) -> str:
    """Name the region at a world point, or return an empty string.

    Parameters
    ----------
    viewer
        Its labels layers are looked up, the topmost first, also hidden ones.
    point
        World coordinates; the last three are z, y and x in mm.
    shown
        The map. From its own space, regions of the template are looked up through
        the transform of its preprocessing; where that is not known, not at all.
    """
    on_template: Sequence[float] | None = point
    if shown is not None and space_of(shown) == OWN:
        on_template = in_template(shown, point)
    for layer in reversed(region_layers(viewer)):
        ours = REGIONS_KEY in layer.metadata
        at = on_template if ours else point
        if at is not None and (found := value_at(layer, at)):
            name = _name(layer, int(found))
            return _sided(name, tuple(at)[-1]) if ours else name
    return ""


def same_place(
    before: Image | None, chosen: Image, point: tuple[float, ...]
) -> tuple[float, ...] | None:
    """Return a point of one map where another shows it.

    Parameters
    ----------
    before
        The map that was looked at.
    chosen
        The other; from another space, one of the two has the way to the template.
    point
        World coordinates; the last three are z, y and x as the viewer counts.

    Returns
    -------
    tuple
        World coordinates. None where that is not known, or outside of `chosen`.
    """
    if before is None:
        return None
    if space_of(before) == space_of(chosen):
        return point
    place = None
    if space_of(chosen) == TEMPLATE:
        place = in_template(before, point)
    elif (transform := chosen.metadata.get(TO_TEMPLATE_KEY)) is not None:
        place = in_own_space(chosen, point, transform)
    if place is None or value_at(chosen, place) is None:
        return None
    return (*point[:-3], *place)


def region_layers(viewer: ViewerModel) -> list[Labels]:
    """Return the labels layers that are regions: no masks, and no edges."""
    ours = {CONTOUR_KEY, SIDE_KEY}
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels)
        and layer.ndim == 3
        and (REGIONS_KEY in layer.metadata or not ours & set(layer.metadata))
    ]


def _name(layer: Labels, index: int) -> str:
    names = layer.metadata.get(REGIONS_KEY) or {}
    if index in names:
        return str(names[index])
    features = layer.features
    if {"index", "name"} <= set(features.columns):
        rows = features[features["index"] == index]
        if len(rows):
            return str(rows["name"].iloc[0])
    return f"region {index}"


def _sided(name: str, x_mm: float) -> str:
    """Say on which side a place is, unless the name does or it is in the middle."""
    if x_mm == 0 or {"left", "right"} & set(name.lower().replace("-", " ").split()):
        return name
    return f"{'left' if x_mm < 0 else 'right'} {name}"
