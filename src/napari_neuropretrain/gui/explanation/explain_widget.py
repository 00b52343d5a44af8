"""The dock widget of the job ``explain``, with a map that grows while it runs."""

from __future__ import annotations

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

    def _take_over(self, shown: Shown) -> None:
        """Show the map of the whole run in place of the one so far."""
        made = [one for one in shown.layers if OCCLUSION_KEY in one[1]["metadata"]]
        if made:
            self.live_map.end()
            name = made[-1][1]["name"]
            if name in self._napari.layers:
                self._napari.layers.selection.active = self._napari.layers[name]
        self.controls.refresh()
