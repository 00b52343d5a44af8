"""Bring other maps into the viewer: the other space, the check, more models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    REGIONS_KEY,
    TEMPLATE,
    region_layers,
    shown_map,
    space_of,
    unit_of,
)
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

_RANDOM = "_desc-randomised_map"


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
        self._asked: set[str] = set()
        self._main: Path | None = None
        self._wanted: tuple[Path, Path | None] = Path(), None

    @property
    def files(self) -> MapFiles:
        """What lies beside the map that is shown, as far as it is known."""
        return self._known.get(_path_of(shown_map(self._viewer)), MapFiles())

    @property
    def random_shown(self) -> bool:
        """Whether the map of the randomised network is shown."""
        return _RANDOM in _path_of(shown_map(self._viewer))

    def look_beside(self) -> None:
        """Find what lies beside the map that is shown, once for each map."""
        path = _path_of(shown_map(self._viewer))
        if path and path not in self._asked:
            self._asked.add(path)
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
            back = self._main or files.main
            if back is not None:
                self._show(back, files.template_t1)

    def open_regions(self, given: str | Path) -> None:
        """Name regions by a label image in template space, or by an atlas."""
        self.work(regions_layer, given, then=self._add_regions)

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
            self._bring(path, scan, shown_map(self._viewer))

    def _add(self, found: list[LayerData]) -> None:
        before, point = shown_map(self._viewer), tuple(self._viewer.dims.point)
        view.add_layers(self._viewer, found)
        self._bring(*self._wanted, before)
        chosen = self._present(self._wanted[0])
        if None not in (before, chosen) and space_of(before) == space_of(chosen):
            self._viewer.dims.point = point

    def _bring(self, path: Path, scan: Path | None, before: Any) -> None:
        """Show these two, and no other scan or map."""
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
        if before is None or space_of(before) != space_of(chosen):
            view.look_at(self._viewer, chosen)
            self._viewer.reset_view(layers=[chosen], reset_camera_angle=False)
        self.said.emit("", False)

    def _present(self, path: Path) -> Any:
        """Return the layer that was read from a file, if there is one."""
        for layer in self._viewer.layers:
            if _path_of(layer) == str(path):
                return layer
        return None

    def _add_regions(self, found: LayerData) -> None:
        chosen = self._viewer.layers.selection.active
        data, keywords, _ = found
        for layer in region_layers(self._viewer):
            if REGIONS_KEY in layer.metadata:
                self._viewer.layers.remove(layer)
        self._viewer.add_labels(data, **keywords)
        self._viewer.layers.selection.active = chosen
        self.said.emit("", False)

    def _add_maps(self, found: list[LayerData]) -> None:
        before: Any = shown_map(self._viewer)
        point = tuple(self._viewer.dims.point)
        added = view.add_layers(self._viewer, found)
        if before is None:
            before = added[-1]
            before.visible = True
        else:
            self._viewer.dims.point = point
        self._viewer.layers.selection.active = before
        maps = sum(OCCLUSION_KEY in one.metadata for one in added)
        words = f"{maps} map{'s' if maps > 1 else ''} added: press Play."
        self.said.emit(words, False)


def _files_of(path: Path) -> tuple[str, MapFiles]:
    return str(path), files_of(path)


def _path_of(layer: Any) -> str:
    return "" if layer is None else str(layer.metadata.get("path") or "")
