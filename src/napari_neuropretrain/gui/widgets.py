"""The dock widgets that the manifest names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_neuropretrain.gui.cohort.cohort_widget import CohortWidget
from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.jobs.preprocess_widget import PreprocessWidget
from napari_neuropretrain.gui.jobs.pretrain_widget import PretrainWidget
from napari_neuropretrain.gui.prediction.predict_widget import PredictWidget
from napari_neuropretrain.gui.review.review_widget import ReviewWidget
from napari_neuropretrain.gui.scans.view_controls import ViewControls

if TYPE_CHECKING:
    import napari

__all__ = [
    "CohortWidget",
    "ExplainWidget",
    "FinetuneWidget",
    "PredictWidget",
    "PreprocessWidget",
    "PretrainWidget",
    "ReviewWidget",
]


class ExplainWidget(JobWidget):
    """Show what a model looked at."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__("explain", "Explain", napari_viewer)
        self.controls = ViewControls(napari_viewer)
        self.shown.connect(self.controls.refresh)
        self.bottom.insertWidget(2, self.controls)
