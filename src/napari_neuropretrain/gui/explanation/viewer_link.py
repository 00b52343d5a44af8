"""Hear what changes in a viewer, for as long as a widget lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

_OF_LAYERS = (
    *("visible", "opacity", "contrast_limits", "colormap", "gamma", "blending"),
    *("data", "scale", "translate", "rotate", "shear", "affine", "name"),
    *("contour", "paint", "labels_update", "selected_label", "show_selected_label"),
)
"""What of a layer changes how it looks."""
_OF_LIST = ("inserted", "removed", "reordered")


class ViewerLink:
    """Calls a widget back; napari itself would call one that is long gone.

    Parameters
    ----------
    widget
        Nothing is called once it is deleted.
    viewer
        What to listen to.
    changed
        Called when a layer looks different, comes, goes, or is moved.
    moved
        Called when the point that is cut through, or the orientation, changes.
    pointed
        Called with the world coordinates under the mouse.
    chosen
        Called when another layer is selected.
    """

    def __init__(
        self,
        widget: QWidget,
        viewer: ViewerModel,
        changed: Callable[[], None],
        moved: Callable[[], None] | None = None,
        pointed: Callable[[tuple[float, ...]], None] | None = None,
        chosen: Callable[[], None] | None = None,
    ) -> None:
        self._widget, self._viewer = widget, viewer
        self._changed, self._moved = changed, moved
        self._pointed, self._chosen = pointed, chosen
        for name in _OF_LIST:
            getattr(viewer.layers.events, name).connect(self._on_list)
        for layer in viewer.layers:
            self._listen(layer)
        viewer.dims.events.point.connect(self._on_move)
        viewer.scene.camera.events.orientation.connect(self._on_move)
        viewer.cursor.events.position.connect(self._on_point)
        viewer.layers.selection.events.active.connect(self._on_choice)

    def _listen(self, layer: Layer) -> None:
        for name in _OF_LAYERS:
            if name in layer.events.emitters:
                getattr(layer.events, name).connect(self._on_change)

    def _alive(self) -> bool:
        return bool(isalive(self._widget))  # type: ignore[no-untyped-call]

    def _on_list(self, event: Any) -> None:
        if event.type == "inserted":
            self._listen(event.value)
        elif event.type == "removed":
            event.value.events.disconnect(self._on_change)
        self._on_change()

    def _on_change(self, event: object = None) -> None:
        if self._alive():
            self._changed()

    def _on_move(self, event: object = None) -> None:
        if self._moved is not None and self._alive():
            self._moved()

    def _on_point(self, event: object = None) -> None:
        if self._pointed is not None and self._alive():
            self._pointed(tuple(self._viewer.cursor.position))

    def _on_choice(self, event: object = None) -> None:
        if self._chosen is not None and self._alive():
            self._chosen()
