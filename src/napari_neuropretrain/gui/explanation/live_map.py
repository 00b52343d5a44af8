"""The map of a run while it is made: refined in place, kept when it is cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from napari.qt.threading import create_worker
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_neuropretrain.gui.reader import read_layers, read_map, stem_of
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import (
    CONTOUR_KEY,
    FRACTION_KEY,
    LOOK_KEY,
    OCCLUSION_KEY,
    look_of,
    occlusion_layer,
    set_look,
)
from napari_neuropretrain.gui.scans.overlay import (
    START_FRACTION,
    OverlayLook,
    symmetric_limit,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_neuropretrain.gui.scans.layers import LayerData

SO_FAR = " (so far)"
_SHOWN_SHARE = 0.95
"""Of the voxels that have an effect: those below are hidden at first."""


class LiveMap(QObject):
    """Loads one partial map at a time, always the latest, into one layer.

    Parameters
    ----------
    viewer
        Where it is shown.
    """

    refined = Signal(object)
    """Emitted with the layer each time it holds more."""

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._busy, self._ended = False, False
        self._waiting: dict[str, Any] | None = None
        self._added: list[Layer] = []
        self._given: OverlayLook | None = None
        self._placed: tuple[float, ...] = ()
        self._run = self._loading = 0

    @property
    def layer(self) -> Image | None:
        """The layer with the map so far, if there is one."""
        found = [one for one in self._added if OCCLUSION_KEY in one.metadata]
        return found[0] if found and isinstance(found[0], Image) else None

    def begin(self) -> None:
        """Forget the run before; what is shown of it stays."""
        self._run += 1
        self._added, self._waiting, self._given = [], None, None
        self._ended = False

    def take(self, values: dict[str, Any]) -> None:
        """Show the partial map that an event tells of.

        Parameters
        ----------
        values
            Its ``preview``, and ``template_t1`` and ``unit`` where they are known.
        """
        if self._ended:
            return
        if self._busy:
            self._waiting = values  # what came before it need not be seen
            return
        self._busy = True
        scan = None if self._added else values.get("template_t1")
        # What cannot be read now is written again in some seconds.
        worker = create_worker(_load, values, scan, _ignore_errors=True)
        self._loading = self._run
        worker.returned.connect(self._show)
        worker.errored.connect(self._rest)
        worker.start()

    def complete(self, found: LayerData) -> bool:
        """Put the map that the run leaves into the layer of the map so far.

        Its look stays, and the crosshair and camera of somebody who moved them.

        Parameters
        ----------
        found
            The map, from the file that the previews were read from.

        Returns
        -------
        bool
            Whether there was such a layer.
        """
        layer, keywords = self.layer, found[1]
        path = keywords["metadata"].get("path")
        if layer is None or layer not in self._viewer.layers:
            return False
        if layer.metadata.get("path") != path:
            return False
        self._ended, self._waiting = True, None
        for older in list(self._viewer.layers):
            # Not `is`: napari hands plugins proxies of its layers.
            if older != layer and older.metadata.get("path") == path:
                self._viewer.layers.remove(older)  # of a run before
        drawn = (OCCLUSION_KEY, FRACTION_KEY, LOOK_KEY)
        said = {k: v for k, v in keywords["metadata"].items() if k not in drawn}
        layer.metadata.update(said)
        self._refine(layer, found)
        layer.name = keywords["name"]
        return True

    def end(self) -> None:
        """Take the map so far away, because the whole one is shown."""
        self._ended, self._waiting = True, None
        for layer in self._added:
            if layer in self._viewer.layers and layer.name.endswith(SO_FAR):
                self._viewer.layers.remove(layer)
        self._added = []

    def _rest(self, error: object = None) -> None:
        self._busy = False
        if self._waiting is not None:
            values, self._waiting = self._waiting, None
            self.take(values)

    def _show(self, found: list[LayerData]) -> None:
        if self._loading == self._run and not self._ended:
            *below, latest = found
            layer = self.layer
            if layer is not None and layer in self._viewer.layers:
                self._refine(layer, latest)
            else:
                self._added = view.add_layers(self._viewer, [*below, latest])
                self._hide_others()
                shown = self._added[-1]
                self._viewer.layers.selection.active = shown
                self._given = look_of(shown)
                self._follow(shown)
            if self.layer is not None:
                self.refined.emit(self.layer)
        self._rest()

    def _hide_others(self) -> None:
        """Hide scans, masks and older maps, which may lie in another space."""
        if len(self._added) < 2:
            return  # no scan of its own to lie on
        for layer in self._viewer.layers:
            others = isinstance(layer, Image) or CONTOUR_KEY in layer.metadata
            if others and not any(layer == one for one in self._added):
                layer.visible = False
        view.set_up_view(self._viewer)  # the canvas names what was before or after

    def _refine(self, layer: Image, latest: LayerData) -> None:
        """Put new voxels into the layer; what somebody set or went to stays."""
        data, keywords, _ = latest
        untouched = look_of(layer) == self._given
        layer.metadata[OCCLUSION_KEY] = keywords["metadata"][OCCLUSION_KEY]
        layer.data = data
        if untouched:
            share = keywords["metadata"][FRACTION_KEY]
            limit = float(layer.metadata[OCCLUSION_KEY])
            self._given = OverlayLook(share * limit, limit)
            set_look(layer, self._given)
        if tuple(self._viewer.dims.point) == self._placed:
            self._follow(layer)

    def _follow(self, layer: Layer) -> None:
        """Show the strongest place so far."""
        view.look_at(self._viewer, layer)
        self._placed = tuple(self._viewer.dims.point)


def _load(values: dict[str, Any], scan: str | None) -> list[LayerData]:
    """Read a partial map, and at first the scan below it."""
    path = Path(str(values["preview"]))
    data, affine = read_map(path)
    details = {"path": str(path), "unit": str(values.get("unit") or "")}
    name = f"{stem_of(path)}{SO_FAR}"
    latest = occlusion_layer(data, affine, name, _fraction(data), **details)
    below = read_layers(Path(scan)) if scan and Path(scan).is_file() else []
    return [*below, latest]


def _fraction(data: NDArray[Any]) -> float:
    sizes = np.abs(data[data != 0])
    if not sizes.size:
        return START_FRACTION
    return float(np.quantile(sizes, _SHOWN_SHARE)) / symmetric_limit(data)
