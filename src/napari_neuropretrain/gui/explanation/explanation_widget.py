"""The dock widget of an explanation: the look, clusters, checks, cine and exports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.gui.explanation import export_panel, exports
from napari_neuropretrain.gui.explanation.clusters import (
    Cluster,
    clusters_table,
    find_clusters,
    voxels_as_shown,
)
from napari_neuropretrain.gui.explanation.explanation_layout import Parts
from napari_neuropretrain.gui.explanation.loading import (
    maps_of_folder,
    over_scan,
    regions_layer,
)
from napari_neuropretrain.gui.explanation.map_files import MapFiles, files_of
from napari_neuropretrain.gui.explanation.places import (
    OWN,
    REGIONS_KEY,
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
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import (
    OCCLUSION_KEY,
    LayerData,
    look_of,
    occlusion_layers,
    set_look,
)
from napari_neuropretrain.gui.scans.overlay import OverlayLook

if TYPE_CHECKING:
    import napari

_PAUSE_MS = 300
"""Clusters are looked for when the threshold rests so long."""
_RANDOM = "_desc-randomised_map"


class ExplanationWidget(QWidget):
    """Everything about the occlusion map that is selected in the viewer."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._shown: Image | None = None
        self._files, self._files_of = MapFiles(), ""
        self._main: Path | None = None
        self._wanted: tuple[Path, Path | None] = Path(), None
        self._listed: tuple[object, ...] = ()
        self._search = 0
        self.parts = Parts(self, napari_viewer)
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
            self._listed, self._files_of = (), ""
            return
        self._keep_symmetric(layer)
        parts.look.show_look(look_of(layer), float(layer.metadata[OCCLUSION_KEY]))
        parts.look.bar.show_map(layer, unit_of(layer))
        parts.trust.show_trust(explanation_of(layer))
        self._look_for_files(layer)
        self._offer_files(layer)
        self._read_out()
        self._find_later(layer)

    def open_regions(self, given: str | Path) -> None:
        """Name regions by a label image in template space, or by an atlas."""
        self._load(regions_layer, given, then=self._add_regions)

    def open_folder(self, folder: Path) -> None:
        """Add the maps of a folder that overlap with the one shown."""
        known = [
            Path(str(one.metadata["path"]))
            for one in occlusion_layers(self._viewer)
            if one.metadata.get("path")
        ]
        self._load(maps_of_folder, folder, self._path(), known, then=self._add_maps)

    def show_space(self, space: str) -> None:
        """Show the map in `TEMPLATE` or `OWN` space, over its scan."""
        files = self._files
        path = files.template if space == TEMPLATE else files.own
        scan = files.template_t1 if space == TEMPLATE else files.own_t1
        if path is not None and self._shown is not None:
            self._show_file(path, scan)

    def export(self, kind: str, path: Path) -> None:
        """Write the map as ``nifti``, ``panel`` or ``page``."""
        layer = self._shown
        if layer is None:
            return
        parts, work = self.parts, self._load
        parts.export.said.setText(f"Writing '{path.name}'…")
        radiological = view.is_radiological(self._viewer)
        if kind == export_panel.NIFTI:
            clipped = parts.export.clipped.isChecked()
            work(exports.save_nifti, layer, path, clipped, then=self._written)
            return
        if kind == export_panel.PAGE and self._files.report is not None:
            work(exports.copy_page, self._files.report, path, then=self._written)
            return
        maps = parts.cine.maps if parts.export.every_map else [layer]
        place = tuple(self._viewer.dims.point)[-3:]
        rows = [exports.drawn(one, self._viewer.layers, place) for one in maps]
        if kind == export_panel.PANEL:
            work(exports.save_panel, rows, path, radiological, then=self._written)
            return
        page = exports.facts_for_page(layer, parts.clusters.clusters)
        work(exports.save_page, rows, page, path, radiological, then=self._written)

    def go_to(self, cluster: Cluster) -> None:
        """Move the crosshair to a cluster's peak."""
        point = list(self._viewer.dims.point)
        point[-3:] = cluster.place
        self._viewer.dims.point = tuple(point)

    def say(self, text: str, wrong: bool = False) -> None:
        """Show a sentence, or none."""
        self.parts.say(text, wrong)

    def _connect(self) -> None:
        parts = self.parts
        parts.map.activated.connect(self._choose_map)
        parts.space.activated.connect(self._choose_space)
        parts.look.changed.connect(self._set_look)
        parts.regions.clicked.connect(self._ask_regions)
        parts.clusters.chosen.connect(self.go_to)
        parts.clusters.least_changed.connect(self._find)
        parts.clusters.save_asked.connect(self._ask_table)
        parts.trust.random_asked.connect(self._show_random)
        parts.cine.folder_asked.connect(self._ask_folder)
        parts.export.asked.connect(self._ask_export)

    def _later(self) -> None:
        self._soon.start(0)  # once for all that changes now

    def _choose_map(self, row: int) -> None:
        maps = occlusion_layers(self._viewer)
        if 0 <= row < len(maps):
            maps[row].visible = True
            self._viewer.layers.selection.active = maps[row]

    def _choose_space(self, row: int) -> None:
        self.show_space((TEMPLATE, OWN)[row])

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

    def _look_for_files(self, layer: Image) -> None:
        """Find what lies beside a map, once for each."""
        path = str(layer.metadata.get("path") or "")
        if path == self._files_of:
            return
        self._files, self._files_of = MapFiles(), path
        if path:
            self._load(_files_of, Path(path), then=self._take_files)

    def _take_files(self, found: tuple[Path, MapFiles]) -> None:
        path, files = found
        if str(path) != self._files_of or self._shown is None:
            return
        self._files = files
        self._offer_files(self._shown)
        named = {str(one.metadata.get("path")) for one in region_layers(self._viewer)}
        if files.regions is not None and str(files.regions) not in named:
            self.open_regions(files.regions)

    def _offer_files(self, layer: Image) -> None:
        files, space = self._files, space_of(layer)
        known = {TEMPLATE: files.template is not None, OWN: files.own is not None}
        known |= {space: True} if space else {}
        self.parts.offer_spaces(known[TEMPLATE], known[OWN], space)
        random = _RANDOM in str(layer.metadata.get("path") or "")
        self.parts.trust.offer_random(files.randomised is not None, random)

    def _show_random(self, wanted: bool) -> None:
        """Show the randomised network's map as the map is drawn, or the map again."""
        files = self._files
        if wanted and files.randomised is not None:
            self._main = files.template
            self._show_file(files.randomised, files.template_t1)
        elif not wanted and self._main is not None:
            self._show_file(self._main, files.template_t1)

    def _show_file(self, path: Path, scan: Path | None) -> None:
        """Show a map over its scan, drawn as the one until now."""
        self._wanted = path, scan
        if self._present(path) is None:
            below = None if scan is None or self._present(scan) else scan
            self._load(over_scan, path, below, then=self._add_over)
        else:
            self._bring(path, scan)

    def _add_over(self, found: list[LayerData]) -> None:
        before, point = self._shown, tuple(self._viewer.dims.point)
        view.add_layers(self._viewer, found)
        path, scan = self._wanted
        self._bring(path, scan)
        chosen = self._present(path)
        if before is not None and space_of(before) == space_of(chosen):
            self._viewer.dims.point = point

    def _bring(self, path: Path, scan: Path | None) -> None:
        """Show these two, and no other image."""
        chosen, before = self._present(path), self._shown
        if not isinstance(chosen, Image):
            return
        if before is not None and unit_of(before) == unit_of(chosen):
            set_look(chosen, look_of(before))
        shown = [chosen, None if scan is None else self._present(scan)]
        for layer in self._viewer.layers:
            if layer in shown:
                layer.visible = True
            elif isinstance(layer, Image):
                layer.visible = False
        moved = before is None or space_of(before) != space_of(chosen)
        self._viewer.layers.selection.active = chosen
        if moved:
            view.look_at(self._viewer, chosen)
            self._viewer.reset_view(layers=[chosen], reset_camera_angle=False)
        self.say("")

    def _present(self, path: Path) -> Any:
        """Return the layer that was read from a file, if there is one."""
        for layer in self._viewer.layers:
            if layer.metadata.get("path") == str(path):
                return layer
        return None

    def _path(self) -> Path | None:
        path = None if self._shown is None else self._shown.metadata.get("path")
        return Path(str(path)) if path else None

    def _add_regions(self, found: LayerData) -> None:
        chosen = self._viewer.layers.selection.active
        data, keywords, _ = found
        for layer in region_layers(self._viewer):
            if REGIONS_KEY in layer.metadata:
                self._viewer.layers.remove(layer)
        self._viewer.add_labels(data, **keywords)
        if chosen is not None:
            self._viewer.layers.selection.active = chosen
        self.say("")

    def _say_regions(self) -> None:
        names = [one.name for one in region_layers(self._viewer)]
        self.parts.regions.setText(f"Regions: {names[-1] if names else 'none'}…")

    def _add_maps(self, found: list[LayerData]) -> None:
        layer, point = self._shown, tuple(self._viewer.dims.point)
        added = view.add_layers(self._viewer, found)
        if layer is None:
            added[-1].visible = True
            layer_shown: Any = added[-1]
        else:
            layer_shown = layer
            self._viewer.dims.point = point
        self._viewer.layers.selection.active = layer_shown
        maps = sum(OCCLUSION_KEY in one.metadata for one in added)
        self.say(f"{maps} map{'s' if maps > 1 else ''} added: press Play.")

    def _load(
        self, work: Callable[..., Any], *given: Any, then: Callable[..., None]
    ) -> None:
        """Work in the background; tell in the panel if it fails."""
        worker = create_worker(work, *given, _ignore_errors=True)
        worker.returned.connect(then)
        worker.errored.connect(self._fail)
        worker.start()

    def _fail(self, error: Exception) -> None:
        kind = "" if isinstance(error, NeuropretrainError) else type(error).__name__
        self.parts.export.said.setText("")
        self.say(f"{kind} {error}".strip(), wrong=True)

    def _written(self, path: Path) -> None:
        self.say("")
        self.parts.export.said.setText(f"Written: {path}")

    def _ask_regions(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Label image in template space", "", "NIfTI (*.nii *.nii.gz)"
        )
        if chosen:
            self.open_regions(Path(chosen))

    def _ask_folder(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, "Folder with maps"):
            self.open_folder(Path(chosen))

    def _ask_table(self) -> None:
        if path := self._ask_path("clusters", ".tsv"):
            self.save_table(path)

    def save_table(self, path: Path) -> None:
        """Write the clusters as tab-separated values."""
        from napari_neuropretrain.config.base import write_text

        try:
            write_text(path, clusters_table(self.parts.clusters.clusters))
        except OSError as error:
            self.say(f"'{path}' cannot be written ({error.strerror}).", wrong=True)
        else:
            self.say(f"Written: {path}")

    def _ask_export(self, kind: str) -> None:
        if path := self._ask_path(kind, export_panel.SUFFIXES[kind]):
            self.export(kind, path)

    def _ask_path(self, what: str, suffix: str) -> Path | None:
        name = "map" if self._shown is None else self._shown.name
        start = f"{name}{suffix}" if suffix != ".tsv" else f"{name}_{what}{suffix}"
        title, filters = f"Save {what}", f"*{suffix}"
        chosen, _ = QFileDialog.getSaveFileName(self, title, start, filters)
        if not chosen:
            return None
        return Path(chosen if chosen.endswith(suffix) else f"{chosen}{suffix}")


def _files_of(path: Path) -> tuple[Path, MapFiles]:
    return path, files_of(path)


def _search(number: int, *given: Any) -> tuple[int, list[Cluster]]:
    return number, find_clusters(*given)
