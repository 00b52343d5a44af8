"""Ask where a map, its slices, page or clusters go, and write them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_neuropretrain.gui.explanation import export_panel, exports
from napari_neuropretrain.gui.explanation.clusters import clusters_table
from napari_neuropretrain.gui.explanation.map_files import report_of
from napari_neuropretrain.gui.explanation.places import shown_map
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.scans import view

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_neuropretrain.gui.explanation.explanation_layout import Parts
    from napari_neuropretrain.gui.explanation.map_switch import MapSwitch


class MapWriter(QObject):
    """Writes what the panel shows, in the background.

    Parameters
    ----------
    panel
        Above whose window files are asked for.
    viewer
        Whose selected map it is about.
    parts
        Of the panel: what is chosen, and where it is said what was written.
    switch
        Works in the background, and says what fails.
    """

    def __init__(
        self, panel: QWidget, viewer: ViewerModel, parts: Parts, switch: MapSwitch
    ) -> None:
        super().__init__(panel)
        self._panel, self._viewer = panel, viewer
        self._parts, self._switch = parts, switch
        parts.export.asked.connect(self._ask_export)
        parts.clusters.save_asked.connect(self._ask_table)

    def export(self, kind: str, path: Path) -> None:
        """Write the map as ``nifti``, ``panel`` or ``page``."""
        layer = shown_map(self._viewer)
        if layer is None:
            return
        parts, work = self._parts, self._switch.work
        parts.export.said.setText(f"Writing '{path.name}'…")
        radiological = view.is_radiological(self._viewer)
        if kind == export_panel.NIFTI:
            clipped = parts.export.clipped.isChecked()
            work(exports.save_nifti, layer, path, clipped, then=self._written)
            return
        if kind == export_panel.PAGE and (report := _report_of(layer)) is not None:
            work(exports.copy_page, report, path, then=self._written)
            return
        maps = parts.cine.maps if parts.export.every_map else [layer]
        place = tuple(self._viewer.dims.point)[-3:]
        rows = [exports.drawn(one, self._viewer.layers, place) for one in maps]
        if kind == export_panel.PANEL:
            work(exports.save_panel, rows, path, radiological, then=self._written)
            return
        page = exports.facts_for_page(layer, parts.clusters.clusters)
        work(exports.save_page, rows, page, path, radiological, then=self._written)

    def save_table(self, path: Path) -> None:
        """Write the clusters as tab-separated values."""
        from napari_neuropretrain.config.base import write_text

        try:
            write_text(path, clusters_table(self._parts.clusters.clusters))
        except OSError as error:
            words = f"'{path}' cannot be written ({error.strerror})."
            self._switch.said.emit(words, True)
        else:
            self._switch.said.emit(f"Written: {path}", False)

    def _written(self, path: Path) -> None:
        self._switch.said.emit("", False)
        self._parts.export.said.setText(f"Written: {path}")

    def _ask_table(self) -> None:
        self._ask_path("clusters", ".tsv", self.save_table)

    def _ask_export(self, kind: str) -> None:
        suffix = export_panel.SUFFIXES[kind]
        self._ask_path(kind, suffix, partial(self.export, kind))

    def _ask_path(self, what: str, suffix: str, save: Callable[[Path], object]) -> None:
        layer = shown_map(self._viewer)
        name = "map" if layer is None else layer.name
        start = f"{name}{suffix}" if suffix != ".tsv" else f"{name}_{what}{suffix}"

        def take(path: Path) -> None:
            whole = path.name.endswith(suffix)
            save(path if whole else path.with_name(f"{path.name}{suffix}"))

        choose_path(self._panel, f"Save {what}", "save", take, start, f"*{suffix}")


def _report_of(layer: Image) -> Path | None:
    """Return the job's page about a map; it is written after the map is shown."""
    path = str(layer.metadata.get("path") or "")
    return report_of(Path(path)) if path else None
