"""The dock widget of preprocessing: from a layer, before and after, quality."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import FileEdit
from napari.qt.threading import create_worker

from napari_neuropretrain.config.jobs import PreprocessConfig
from napari_neuropretrain.data.quality import QUALITY_TABLE
from napari_neuropretrain.gui.jobs.job_layout import button_row, wide_button
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.jobs.layer_input import LayerInput
from napari_neuropretrain.gui.jobs.results import Shown
from napari_neuropretrain.gui.review.review_widget import (
    has_report,
    open_report,
    open_review,
    open_reviews,
)
from napari_neuropretrain.gui.scans.layer_scan import suggest_output
from napari_neuropretrain.gui.scans.template_edges import template_edges
from napari_neuropretrain.gui.scans.view_controls import ViewControls

if TYPE_CHECKING:
    import napari


class PreprocessWidget(JobWidget):
    """Turn raw T1 scans into aligned, normalised volumes."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__("preprocess", "Preprocess", napari_viewer)
        self._napari = napari_viewer
        self._suggested = ""
        self._layer = LayerInput(napari_viewer)
        self._layer.ready.connect(self._written)
        self._layer.failed.connect(self._not_written)
        self.layer_button = wide_button(
            "Use the current layer",
            self.use_layer,
            "Take the selected image layer as the input. One that has no file is "
            "written into the output folder first.",
        )
        self.form.add_below("input", self.layer_button)
        self._input, self._output = (self._path_field(n) for n in ("input", "output"))
        self._input.changed.connect(self._suggest)
        self.review_button = wide_button(
            "Review quality…", self.review, "Keep, look at or reject each scan."
        )
        self.report_button = wide_button(
            "Open report", self.open_report, "Show quality.html in the browser."
        )
        self.controls = ViewControls(napari_viewer, threshold=False, sides=True)
        self.bottom.insertWidget(2, self.controls)
        self.bottom.insertLayout(3, button_row(self.review_button, self.report_button))
        self._output.changed.connect(self._offer_review)
        self.shown.connect(self._take_quality)
        self._offer_review()

    def start(self) -> None:
        """Start the job, and have the template's lines ready when it ends."""
        super().start()
        config = self._check()
        if isinstance(config, PreprocessConfig):
            grid = (config.shape, config.spacing_mm)
            create_worker(template_edges, *grid, _ignore_errors=True).start()

    def use_layer(self) -> None:
        """Make the current layer the input; say why if it cannot be."""
        if not self._output.line_edit.value.strip():
            self._fill_output(Path.home() / "neuropretrain")
        output = Path(self._output.line_edit.value.strip()).expanduser()
        self.layer_button.setEnabled(not self._layer.take(output))

    def review(self) -> None:
        """Open the review of the output folder."""
        if (folder := self._folder()) is not None:
            open_review(self._napari, folder)

    def open_report(self) -> None:
        """Show the quality page of the output folder in the browser."""
        if (folder := self._folder()) is not None and not open_report(folder):
            self.say(f"There is no quality.html in '{folder}' yet.")

    def _written(self, path: Path) -> None:
        self.layer_button.setEnabled(True)
        self._input.line_edit.value = str(path)

    def _not_written(self, reason: str) -> None:
        self.layer_button.setEnabled(True)
        self.say(reason)

    def _take_quality(self, shown: Shown) -> None:
        """Show new verdicts where the review is open already."""
        self._offer_review()
        if shown.quality is not None:
            for review in open_reviews(self._napari):
                review.open_folder(shown.quality)

    def _offer_review(self, value: object = None) -> None:
        folder = self._folder()
        table = folder is not None and (folder / QUALITY_TABLE).is_file()
        self.review_button.setEnabled(table and hasattr(self._napari, "window"))
        self.report_button.setEnabled(folder is not None and has_report(folder))

    def _suggest(self, value: object = None) -> None:
        """Suggest an output folder where there is none, or only a suggestion."""
        scan = Path(self._input.line_edit.value.strip()).expanduser()
        now = self._output.line_edit.value.strip()
        if now in ("", self._suggested) and scan.name and scan.exists():
            self._fill_output(suggest_output(scan))

    def _fill_output(self, folder: Path) -> None:
        self._suggested = str(folder)
        self._output.line_edit.value = self._suggested

    def _folder(self) -> Path | None:
        text = self._output.line_edit.value.strip()
        return Path(text).expanduser() if text else None

    def _path_field(self, name: str) -> FileEdit:
        field = self.form.widgets[name]
        if not isinstance(field, FileEdit):
            raise TypeError(f"'{name}' is no path.")
        return field
