"""The dock widgets that the manifest names."""

from __future__ import annotations

from napari_neuropretrain.gui.cohort.cohort_widget import CohortWidget
from napari_neuropretrain.gui.explanation.explain_widget import ExplainWidget
from napari_neuropretrain.gui.explanation.explanation_widget import ExplanationWidget
from napari_neuropretrain.gui.explanation.planes_widget import PlanesWidget
from napari_neuropretrain.gui.guide.guide_widget import GuideWidget
from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget
from napari_neuropretrain.gui.jobs.preprocess_widget import PreprocessWidget
from napari_neuropretrain.gui.jobs.pretrain_widget import PretrainWidget
from napari_neuropretrain.gui.prediction.predict_widget import PredictWidget
from napari_neuropretrain.gui.review.review_widget import ReviewWidget
from napari_neuropretrain.gui.runs.runs_widget import RunsWidget

__all__ = [
    "CohortWidget",
    "ExplainWidget",
    "ExplanationWidget",
    "FinetuneWidget",
    "GuideWidget",
    "PlanesWidget",
    "PredictWidget",
    "PreprocessWidget",
    "PretrainWidget",
    "ReviewWidget",
    "RunsWidget",
]
