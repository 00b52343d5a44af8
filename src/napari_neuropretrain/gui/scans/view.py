"""The view on the layers: upright, one plane or 3D, before or after preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_neuropretrain.gui.scans.layers import (
    AFTER,
    BEFORE,
    OCCLUSION_KEY,
    SIDE_KEY,
    LayerData,
    finish,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

PLANES = {"Axial": (0, 1, 2), "Coronal": (1, 0, 2), "Sagittal": (2, 0, 1)}
"""Order of napari's axes (z, y, x) for each plane, the last two on the screen."""

_OTHER_AXES = ((1, 2), (0, 2), (0, 1))
"""For each axis of a volume, the other two."""
_TOWARDS = ("top", "front", "the person's right")
"""Where z, y and x grow to."""
_AWAY = ("bottom", "back", "the person's left")
_FROM_FRONT = (-0.25, -1.0, -0.8), (1.0, 0.0, 0.0)
"""Where 3D looks to from the right front, and where its top is, along z, y and x."""
_SIDES = {
    BEFORE: "Before: scan with its brain mask",
    AFTER: "After: aligned, with the template's edges",
}


def add_layers(viewer: ViewerModel, layers: Sequence[LayerData]) -> list[Layer]:
    """Add layers to a viewer, in order, and set up the view around them.

    A layer of the same name is replaced, and so are the layers before and after
    preprocessing of the scan shown until now. Call it in the GUI thread.
    """
    side, point = side_shown(viewer), tuple(viewer.dims.point)[-3:]
    paired = any(SIDE_KEY in keywords["metadata"] for _, keywords, _ in layers)
    names = {keywords.get("name") for _, keywords, _ in layers}
    old = [one for one in viewer.layers if one.name in names]
    old += [one for one in viewer.layers if paired and _has_side(one)]
    for layer in old:
        layer.name = f"{layer.name} (old)"  # gives its name to the new one
    added = []
    for data, keywords, kind in layers:
        added.append(viewer.add_layer(Layer.create(data, keywords, kind)))
        finish(added[-1])
    # Last, since a viewer that was empty in between forgets its view.
    _remove(viewer, old)
    if added:
        set_up_view(viewer)
        if _has_side(added[-1]):
            present = {layer.metadata.get(SIDE_KEY) for layer in added}
            wanted = side or BEFORE
            at = point if side else None
            show_side(viewer, wanted if wanted in present else AFTER, at)
        else:
            look_at(viewer, added[-1])
            viewer.reset_view()
    return added


@contextmanager
def same_camera(viewer: ViewerModel) -> Iterator[None]:
    """Keep what is in view, and how large, over what is done meanwhile."""
    camera = viewer.scene.camera
    center, zoom = tuple(camera.center), float(camera.zoom)
    yield
    camera.center, camera.zoom = center, zoom


def set_up_view(viewer: ViewerModel) -> None:
    """Draw the head upright: up is superior or anterior.

    Right is the right side, unless `set_radiological` turned it.
    """
    camera = viewer.scene.camera
    camera.orientation2d = ("up", "left" if is_radiological(viewer) else "right")
    viewer.canvas.overlays["scale_bar"].visible = True
    note = viewer.canvas.overlays["text"]
    if not note.visible:
        note.position = "top_left"
        viewer.dims.events.order.connect(partial(_say_sides, viewer))
        viewer.dims.events.ndisplay.connect(partial(_say_sides, viewer))
        camera.events.orientation.connect(partial(_say_sides, viewer))
    note.visible = True
    _say_sides(viewer)


def set_radiological(viewer: ViewerModel, radiological: bool) -> None:
    """Show the person's left on the right, as seen from the feet; or not."""
    # With the depth turned as well, 3D is looked at from elsewhere, not mirrored.
    turned = ("away", "up", "left"), ("towards", "up", "right")
    viewer.scene.camera.orientation = turned[0 if radiological else 1]
    if viewer.dims.ndisplay == 3:
        viewer.scene.camera.set_view_direction(*_FROM_FRONT)


def is_radiological(viewer: ViewerModel) -> bool:
    """Return whether the person's left is on the right."""
    return str(viewer.scene.camera.orientation2d[1]) == "left"


def show_plane(viewer: ViewerModel, plane: str) -> None:
    """Show one of `PLANES` in 2D."""
    viewer.dims.ndisplay = 2
    viewer.dims.order = PLANES[plane]
    _show_labels(viewer, True)
    viewer.reset_view(layers=_in_view(viewer))


def show_3d(viewer: ViewerModel) -> None:
    """Show the head in 3D from the right front; labels, opaque in 3D, are hidden."""
    _show_labels(viewer, False)
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    viewer.reset_view(layers=_in_view(viewer))
    viewer.scene.camera.set_view_direction(*_FROM_FRONT)


def show_side(
    viewer: ViewerModel, side: str, at: Sequence[float] | None = None
) -> None:
    """Show the layers before or after preprocessing, and no other image.

    The two lie in different spaces, so only one is drawn at a time.

    Parameters
    ----------
    side
        `BEFORE` or `AFTER`; nothing happens where there is no such layer.
    at
        Where to cut, in mm along z, y and x. A side that is shown already is cut
        where it was; anything else in its middle.
    """
    chosen = [one for one in viewer.layers if one.metadata.get(SIDE_KEY) == side]
    if not chosen:
        return
    if at is None and side_shown(viewer) == side:
        at = tuple(viewer.dims.point)[-3:]
    for layer in viewer.layers:
        if layer in chosen:
            layer.visible = viewer.dims.ndisplay == 2 or isinstance(layer, Image)
        elif _has_side(layer) or isinstance(layer, Image):
            layer.visible = False
    low, high = np.array(chosen[0].extent.world)
    if at is not None and np.all((at >= low) & (at <= high)):
        viewer.dims.point = tuple(at)
    else:
        look_at(viewer, chosen[-1])
    viewer.layers.selection.active = chosen[0]
    viewer.reset_view(layers=chosen, reset_camera_angle=False)
    _say_sides(viewer)


def side_shown(viewer: ViewerModel) -> str:
    """Return `BEFORE` or `AFTER`, or an empty string where neither is shown."""
    for layer in viewer.layers:
        if _has_side(layer) and layer.visible:
            return str(layer.metadata[SIDE_KEY])
    return ""


def sides_of(viewer: ViewerModel) -> set[str]:
    """Return which of `BEFORE` and `AFTER` there are layers of."""
    return {str(one.metadata[SIDE_KEY]) for one in viewer.layers if _has_side(one)}


def remove_sides(viewer: ViewerModel) -> None:
    """Take the layers before and after preprocessing away."""
    _remove(viewer, [one for one in viewer.layers if _has_side(one)])


def _remove(viewer: ViewerModel, layers: Sequence[Layer]) -> None:
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)


def _has_side(layer: Layer) -> bool:
    return SIDE_KEY in layer.metadata


def _show_labels(viewer: ViewerModel, visible: bool) -> None:
    side = side_shown(viewer)
    for layer in viewer.layers:
        if isinstance(layer, Labels):
            layer.visible = visible and layer.metadata.get(SIDE_KEY, side) == side


def _in_view(viewer: ViewerModel) -> list[Layer] | None:
    """Return the layers of the side that is shown, or None for all."""
    side = side_shown(viewer)
    shown = [one for one in viewer.layers if one.metadata.get(SIDE_KEY) == side]
    return shown or None


def _say_sides(viewer: ViewerModel, event: object = None) -> None:
    """Write on the canvas what is shown, and which way is which."""
    up, right = viewer.dims.order[-2:]
    flat = viewer.dims.ndisplay == 2 and max(up, right) < len(_TOWARDS)
    ends = _AWAY if is_radiological(viewer) else _TOWARDS
    sides = f"up: {_TOWARDS[up]} · right: {ends[right]}" if flat else ""
    lines = (_SIDES.get(side_shown(viewer), ""), sides)
    viewer.canvas.overlays["text"].text = "\n".join(line for line in lines if line)


def look_at(viewer: ViewerModel, layer: Layer) -> None:
    """Move to the strongest voxel of an occlusion map, else to the middle.

    The middle of labels is that of what is labelled.
    """
    index = (np.array(layer.data.shape) - 1) // 2
    if OCCLUSION_KEY in layer.metadata:
        peak = int(np.argmax(np.abs(layer.data)))
        index = np.array(np.unravel_index(peak, layer.data.shape))
    elif isinstance(layer, Labels) and layer.data.any():
        index = np.array([_middle(layer.data.any(axis)) for axis in _OTHER_AXES])
    move_to(viewer, layer.data_to_world(index))


def move_to(viewer: ViewerModel, place: Sequence[float]) -> None:
    """Cut at a place in mm exactly, even between two steps of napari's sliders.

    The sliders' steps are those of all layers together, and so of no layer where their
    grids differ.
    """
    point = list(viewer.dims.point)
    point[-len(place) :] = [float(one) for one in place]
    viewer.dims.point = tuple(point)
    # A slider that this has moved has moved the point to its step; now it rests.
    viewer.dims.point = tuple(point)


def _middle(labelled: NDArray[np.bool_]) -> int:
    """Return the middle of the span in which something is True."""
    places = np.flatnonzero(labelled)
    return int(places[0] + places[-1]) // 2
