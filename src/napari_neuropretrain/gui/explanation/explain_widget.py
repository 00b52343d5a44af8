"""The dock widget of the job ``explain``, with a map that grows while it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.gui.explanation.live_map import LiveMap
from napari_neuropretrain.gui.jobs.job_layout import button_row, wide_button
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.jobs.results import Shown
from napari_neuropretrain.gui.panels import open_panel
from napari_neuropretrain.gui.scans.layers import OCCLUSION_KEY
from napari_neuropretrain.gui.scans.view_controls import ViewControls

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari

    from napari_neuropretrain.runs.child_run import Ending

EXPLANATION, PLANES = "Explanation", "Three planes"
"""Names of its docks in the manifest."""


class ExplainWidget(JobWidget):
    """Show what a model looked at."""

    def __init__(
        self, napari_viewer: napari.Viewer, command: Sequence[str] | None = None
    ) -> None:
        super().__init__("explain", "Explain", napari_viewer, command)
        self._napari = napari_viewer
        self.controls = ViewControls(napari_viewer)
        self.live_map = LiveMap(napari_viewer, self)
        self.open_button = wide_button(
            "Explanation…", self.open_panel, "Ranges, clusters, checks, cine and files."
        )
        self.planes_button = wide_button(
            "Three planes…", self.open_planes, "Linked slices with a crosshair."
        )
        self.begun.connect(self.live_map.begin)
        self.reported.connect(self._preview)
        self.live_map.refined.connect(self.controls.refresh)
        self.shown.connect(self._take_over)
        self.ended.connect(self._say_kept)
        self.bottom.insertWidget(2, self.controls)
        self.bottom.insertLayout(3, button_row(self.open_button, self.planes_button))

    def open_panel(self) -> None:
        """Open the panel of the explanation, or bring it to the front."""
        self._open(EXPLANATION)

    def open_planes(self) -> None:
        """Open the three planes, or bring them to the front."""
        self._open(PLANES)

    def _open(self, name: str) -> None:
        open_panel(self._napari, name)

    def _preview(self, values: dict[str, Any]) -> None:
        if "preview" in values:
            self.live_map.take(values)

    def show_result(
        self, kind: str, path: Path, values: dict[str, Any] | None = None
    ) -> None:
        """Load a result; a map that was seen growing stays on the template."""
        if self.live_map.layer is not None:
            values = {k: v for k, v in (values or {}).items() if k != "t1"}
        super().show_result(kind, path, values)

    def _show(self, shown: Shown) -> None:
        """Put the whole map where the one so far is, else add it."""
        maps = [one for one in shown.layers if OCCLUSION_KEY in one[1]["metadata"]]
        if maps and self.live_map.complete(maps[-1]):
            shown = replace(shown, layers=[])
        super()._show(shown)

    def _say_kept(self, ending: Ending) -> None:
        """After a cancel, say that the map that is seen is a file, too."""
        layer = self.live_map.layer
        if ending.state == "stopped" and layer is not None:
            name = Path(str(layer.metadata.get("path"))).name
            said = f"The map so far stays, here and as '{name}'."
            self.panel.state.setText(f"Stopped. {said}")

    def _take_over(self, shown: Shown) -> None:
        """Take away what the whole map was shown in place of."""
        made = [one for one in shown.layers if OCCLUSION_KEY in one[1]["metadata"]]
        if made:
            self.live_map.end()
            name = made[-1][1]["name"]
            if name in self._napari.layers:
                self._napari.layers.selection.active = self._napari.layers[name]
        self.controls.refresh()
