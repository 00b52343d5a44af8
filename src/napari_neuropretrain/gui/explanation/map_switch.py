"""Bring other maps into the viewer: the other space, the check, more models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_neuropretrain.errors import NeuropretrainError
from napari_neuropretrain.gui.explanation.loading import (
    maps_of_folder,
    over_scan,
    regions_layer,
)
from napari_neuropretrain.gui.explanation.map_files import MapFiles, files_of
from napari_neuropretrain.gui.explanation.places import (
    OWN,
    RANDOM,
    REGIONS_KEY,
    TEMPLATE,
    explanation_of,
    region_layers,
    same_place,
    shown_map,
    space_of,
    unit_of,
)
from napari_neuropretrain.gui.explanation.spaces import TO_TEMPLATE_KEY
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import (
    OCCLUSION_KEY,
    LayerData,
    look_of,
    occlusion_layers,
    set_look,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel


class MapSwitch(QObject):
    """Knows the files beside a map, and shows them in its place.

    Parameters
    ----------
    viewer
        Whose selected map it is about.
    """

    found = Signal()
    """Emitted when the files beside the map are known."""
    said = Signal(str, bool)
    """Emitted with a sentence, and whether something is wrong."""

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._known: dict[str, MapFiles] = {}
        self._asked: dict[str, Any] = {}
        self._main: Path | None = None
        self._wanted: tuple[Path, Path | None] = Path(), None

    @property
    def files(self) -> MapFiles:
        """What lies beside the map that is shown, as far as it is known."""
        return self._known.get(_path_of(shown_map(self._viewer)), MapFiles())

    @property
    def random_shown(self) -> bool:
        """Whether the map of the randomised network is shown."""
        return RANDOM in _path_of(shown_map(self._viewer))

    def look_beside(self) -> None:
        """Find what lies beside the map that is shown, once for each run of it."""
        layer = shown_map(self._viewer)
        path = _path_of(layer)
        if layer is None or not path:
            return
        # A map that grew while its run went on has more beside it now.
        said = explanation_of(layer)
        if self._asked.get(path) != said:
            self._asked[path] = said
            self.work(_files_of, Path(path), then=self._take_files)

    def show_space(self, space: str) -> None:
        """Show the map in `TEMPLATE` or `OWN` space, over its scan."""
        files = self.files
        path = files.template if space == TEMPLATE else files.own
        scan = files.template_t1 if space == TEMPLATE else files.own_t1
        if path is not None:
            self._show(path, scan)

    def show_random(self, wanted: bool) -> None:
        """Show the randomised network's map as the map is drawn, or the map again."""
        files = self.files
        if wanted and files.randomised is not None:
            self._main = files.template
            self._show(files.randomised, files.template_t1)
        elif not wanted:
            # Of several maps that it checks, the one it was asked for from.
            folder = Path(_path_of(shown_map(self._viewer))).parent
            begun = self._main is not None and self._main.parent == folder
            back = self._main if begun else files.main
            if back is not None:
                self._show(back, files.template_t1)

    def open_regions(self, given: str | Path) -> None:
        """Name regions by a label image in template space, or by an atlas."""
        self.said.emit(f"Reading '{given}'…", False)
        self.work(regions_layer, given, then=self._add_regions)

    def remove_regions(self) -> None:
        """Take the regions away that were opened here."""
        for layer in region_layers(self._viewer):
            if REGIONS_KEY in layer.metadata:
                self._viewer.layers.remove(layer)

    def open_folder(self, folder: Path) -> None:
        """Add the maps of a folder that overlap with the one shown."""
        paths = [_path_of(one) for one in occlusion_layers(self._viewer)]
        known = [Path(path) for path in paths if path]
        path = _path_of(shown_map(self._viewer))
        like = Path(path) if path else None
        self.work(maps_of_folder, folder, like, known, then=self._add_maps)

    def work(
        self, work: Callable[..., Any], *given: Any, then: Callable[..., None]
    ) -> None:
        """Work in the background; say so if it fails."""
        worker = create_worker(work, *given, _ignore_errors=True)
        worker.returned.connect(then)
        worker.errored.connect(self._fail)
        worker.start()

    def _fail(self, error: Exception) -> None:
        kind = "" if isinstance(error, NeuropretrainError) else type(error).__name__
        self.said.emit(f"{kind} {error}".strip(), True)

    def _take_files(self, found: tuple[str, MapFiles]) -> None:
        path, files = found
        self._known[path] = files
        self._note_transform(self._present(Path(path)))
        named = {_path_of(one) for one in region_layers(self._viewer)}
        if files.regions and files.regions not in named:
            self.open_regions(files.regions)
        self.found.emit()

    def _show(self, path: Path, scan: Path | None) -> None:
        """Show a map over its scan, drawn as the one until now."""
        self._wanted = path, scan
        if self._present(path) is None:
            below = None if scan is None or self._present(scan) else scan
            self.work(over_scan, path, below, then=self._add)
        else:
            point = tuple(self._viewer.dims.point)
            self._bring(path, scan, shown_map(self._viewer), point)

    def _add(self, found: list[LayerData]) -> None:
        before, point = shown_map(self._viewer), tuple(self._viewer.dims.point)
        with view.same_camera(self._viewer):
            view.add_layers(self._viewer, found)
        self._bring(*self._wanted, before, point)

    def _bring(
        self, path: Path, scan: Path | None, before: Any, point: tuple[float, ...]
    ) -> None:
        """Show these two, and no other scan or map, where `before` was cut."""
        chosen = self._present(path)
        if not isinstance(chosen, Image):
            return
        if before is not None and unit_of(before) == unit_of(chosen):
            set_look(chosen, look_of(before))
        below: Any = None if scan is None else self._present(scan)
        chosen.visible = True
        for layer in self._viewer.layers:
            if layer is below:
                layer.visible = True
            elif isinstance(layer, Image) and layer is not chosen:
                hidden = below is not None or OCCLUSION_KEY in layer.metadata
                layer.visible = layer.visible and not hidden
        self._viewer.layers.selection.active = chosen
        self._note_transform(chosen, before)
        if before is None or space_of(before) != space_of(chosen):
            view.look_at(self._viewer, chosen)
            self._viewer.reset_view(layers=[chosen], reset_camera_angle=False)
        if (same := same_place(before, chosen, point)) is not None:
            view.move_to(self._viewer, same)
        self.said.emit("", False)

    def _note_transform(self, *layers: Image | None) -> None:
        """Keep the way to the template with maps in the scan's own space."""
        known = (self._known.get(_path_of(one), MapFiles()).transform for one in layers)
        transform = next((one for one in known if one is not None), None)
        for layer in layers:
            if transform and layer is not None and space_of(layer) == OWN:
                layer.metadata[TO_TEMPLATE_KEY] = np.array(transform)

    def _present(self, path: Path) -> Any:
        """Return the layer that was read from a file, if there is one."""
        for layer in self._viewer.layers:
            if _path_of(layer) == str(path):
                return layer
        return None

    def _add_regions(self, found: LayerData) -> None:
        chosen = self._viewer.layers.selection.active
        point = tuple(self._viewer.dims.point)
        data, keywords, _ = found
        self.remove_regions()
        self._viewer.add_labels(data, **keywords)
        self._viewer.layers.selection.active = chosen
        view.move_to(self._viewer, point)  # the sliders have other steps now
        self.said.emit("", False)

    def _add_maps(self, found: list[LayerData]) -> None:
        before: Any = shown_map(self._viewer)
        point = tuple(self._viewer.dims.point)
        if before is None:
            added = view.add_layers(self._viewer, found)
            before = added[-1]
            before.visible = True
        else:
            with view.same_camera(self._viewer):
                added = view.add_layers(self._viewer, found)
            view.move_to(self._viewer, point)
        self._viewer.layers.selection.active = before
        maps = sum(OCCLUSION_KEY in one.metadata for one in added)
        words = f"{maps} map{'s' if maps > 1 else ''} added: press Play."
        self.said.emit(words, False)


def _files_of(path: Path) -> tuple[str, MapFiles]:
    return str(path), files_of(path)


def _path_of(layer: Any) -> str:
    return "" if layer is None else str(layer.metadata.get("path") or "")
