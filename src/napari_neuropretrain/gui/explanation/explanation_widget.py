"""The dock widget of an explanation: the look, clusters, checks, cine and exports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_neuropretrain.gui.explanation.clusters import (
    Cluster,
    find_clusters,
    voxels_as_shown,
)
from napari_neuropretrain.gui.explanation.explanation_layout import Parts
from napari_neuropretrain.gui.explanation.map_switch import MapSwitch
from napari_neuropretrain.gui.explanation.map_writer import MapWriter
from napari_neuropretrain.gui.explanation.places import (
    OWN,
    TEMPLATE,
    explanation_of,
    number,
    region_at,
    region_layers,
    sentence_at,
    shown_map,
    space_of,
    unit_of,
)
from napari_neuropretrain.gui.explanation.viewer_link import ViewerLink
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.panels import tab_with_others
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import (
    OCCLUSION_KEY,
    look_of,
    occlusion_layers,
    set_look,
)
from napari_neuropretrain.gui.scans.overlay import OverlayLook

if TYPE_CHECKING:
    import napari

_PAUSE_MS = 300
"""Clusters are looked for when the threshold rests so long."""


class ExplanationWidget(QWidget):
    """Everything about the occlusion map that is selected in the viewer."""

    title = "Explanation"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        tab_with_others(self)
        self._viewer = napari_viewer
        self._shown: Image | None = None
        self.switch = MapSwitch(napari_viewer, self)
        self._listed: tuple[object, ...] = ()
        self._search = 0
        self.parts = Parts(self, napari_viewer)
        self.writer = MapWriter(self, napari_viewer, self.parts, self.switch)
        self._soon, self._rest = QTimer(self), QTimer(self)
        for timer, slot in ((self._soon, self.refresh), (self._rest, self._find)):
            timer.setSingleShot(True)
            timer.timeout.connect(slot)
        self._connect()
        self._link = ViewerLink(
            self,
            napari_viewer,
            changed=self._later,
            moved=self._read_out,
            pointed=self._read_out,
            chosen=self._later,
        )
        self.refresh()

    def refresh(self) -> None:
        """Show what the viewer shows."""
        layer = shown_map(self._viewer)
        self._shown = layer
        parts = self.parts
        parts.offer(layer is not None)
        parts.list_maps(occlusion_layers(self._viewer), layer)
        parts.cine.refresh(layer)
        self._say_regions()
        if layer is None:
            parts.clusters.show_clusters([], "")
            parts.trust.show_trust({})
            self._listed = ()
            return
        self._keep_symmetric(layer)
        parts.look.show_look(look_of(layer), float(layer.metadata[OCCLUSION_KEY]))
        parts.look.bar.show_map(layer, unit_of(layer))
        parts.trust.show_trust(explanation_of(layer))
        self.switch.look_beside()
        self._offer_files()
        self._read_out()
        self._find_later(layer)

    def go_to(self, cluster: Cluster) -> None:
        """Move the crosshair to a cluster's peak."""
        view.move_to(self._viewer, cluster.place)

    def say(self, text: str, wrong: bool = False) -> None:
        """Show a sentence, or none."""
        self.parts.say(text, wrong)
        if wrong:
            self.parts.export.said.setText("")

    def _connect(self) -> None:
        parts = self.parts
        parts.map.activated.connect(self._choose_map)
        parts.space.activated.connect(self._choose_space)
        parts.look.changed.connect(self._set_look)
        parts.regions.file_asked.connect(self._ask_regions)
        parts.regions.atlas_asked.connect(self.switch.open_regions)
        parts.regions.none_asked.connect(self.switch.remove_regions)
        parts.clusters.chosen.connect(self.go_to)
        parts.clusters.least_changed.connect(self._find)
        parts.trust.random_asked.connect(self.switch.show_random)
        parts.cine.folder_asked.connect(self._ask_folder)
        self.switch.found.connect(self._offer_files)
        self.switch.said.connect(self.say)

    def _later(self) -> None:
        self._soon.start(0)  # once for all that changes now

    def _choose_map(self, row: int) -> None:
        maps = occlusion_layers(self._viewer)
        if 0 <= row < len(maps):
            maps[row].visible = True
            self._viewer.layers.selection.active = maps[row]

    def _choose_space(self, row: int) -> None:
        self.switch.show_space((TEMPLATE, OWN)[row])

    def _set_look(self, look: OverlayLook) -> None:
        if self._shown is not None:
            set_look(self._shown, look)

    def _keep_symmetric(self, layer: Image) -> None:
        """Take over contrast limits that were set elsewhere, the same on both sides."""
        look, largest = look_of(layer), float(layer.metadata[OCCLUSION_KEY])
        limit = look.contrast_limit(largest)
        if not np.allclose(layer.contrast_limits, (-limit, limit), rtol=1e-5):
            high = max(abs(float(one)) for one in layer.contrast_limits)
            set_look(layer, replace(look, display_high=high or largest))

    def _read_out(self, point: tuple[float, ...] | None = None) -> None:
        """Say what is at the crosshair, and under the mouse."""
        if self._viewer.dims.ndim < 3:
            return
        crosshair = sentence_at(self._viewer, self._viewer.dims.point)
        self.parts.crosshair.setText(f"Crosshair: {crosshair}")
        if point is not None and len(point) >= 3 and self._viewer.dims.ndisplay == 2:
            self.parts.mouse.setText(f"Mouse: {sentence_at(self._viewer, point)}")

    def _find_later(self, layer: Image) -> None:
        """Look for clusters soon if anything about them has changed."""
        look = look_of(layer)
        regions = tuple(id(one) for one in region_layers(self._viewer))
        now = (layer, layer.data, look.threshold, look.clip_above, regions)
        before = self._listed
        same = len(before) == len(now) and all(
            a is b or (not isinstance(a, np.ndarray) and a == b)
            for a, b in zip(before, now, strict=True)
        )
        if not same:
            self._listed = now
            self._rest.start(_PAUSE_MS)

    def _find(self, changed: object = None) -> None:
        """Look for the clusters in the background."""
        if (layer := self._shown) is None:
            return
        self._search += 1
        values, affine = voxels_as_shown(layer)
        least = self.parts.clusters.least.value()
        worker = create_worker(
            _search, self._search, values, affine, look_of(layer), least
        )
        worker.returned.connect(self._list)
        worker.start()

    def _list(self, found: tuple[int, list[Cluster]]) -> None:
        search, clusters = found
        layer = self._shown
        if search != self._search or layer is None:
            return  # an older threshold
        named = [
            replace(one, region=region_at(self._viewer, one.place, layer))
            for one in clusters
        ]
        beyond = f"±{number(look_of(layer).threshold).lstrip('+')} {unit_of(layer)}"
        self.parts.clusters.show_clusters(named, beyond.strip())

    def _offer_files(self) -> None:
        """Offer what lies beside the map."""
        if self._shown is None:
            return
        files, space = self.switch.files, space_of(self._shown)
        template = files.template is not None or space == TEMPLATE
        own = files.own is not None or space == OWN
        self.parts.offer_spaces(template, own, space)
        known = files.randomised is not None
        self.parts.trust.offer_random(known, self.switch.random_shown)

    def _say_regions(self) -> None:
        names = [one.name for one in region_layers(self._viewer)]
        self.parts.regions.say(names[-1] if names else "")

    def _ask_regions(self) -> None:
        title, names = "Label image in template space", "NIfTI (*.nii *.nii.gz)"
        choose_path(self, title, "file", self.switch.open_regions, "", names)

    def _ask_folder(self) -> None:
        choose_path(self, "Folder with maps", "folder", self.switch.open_folder)


def _search(number: int, *given: Any) -> tuple[int, list[Cluster]]:
    return number, find_clusters(*given)
