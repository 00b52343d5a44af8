"""The dock widgets that the manifest names; each is imported when it is opened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_neuropretrain.gui.cohort.cohort_widget import CohortWidget
    from napari_neuropretrain.gui.explanation.explain_widget import ExplainWidget
    from napari_neuropretrain.gui.explanation.explanation_widget import (
        ExplanationWidget,
    )
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
_MODULES = {
    "CohortWidget": "cohort.cohort_widget",
    "ExplainWidget": "explanation.explain_widget",
    "ExplanationWidget": "explanation.explanation_widget",
    "FinetuneWidget": "jobs.finetune_widget",
    "GuideWidget": "guide.guide_widget",
    "PlanesWidget": "explanation.planes_widget",
    "PredictWidget": "prediction.predict_widget",
    "PreprocessWidget": "jobs.preprocess_widget",
    "PretrainWidget": "jobs.pretrain_widget",
    "ReviewWidget": "review.review_widget",
    "RunsWidget": "runs.runs_widget",
}


def __getattr__(name: str) -> Any:
    """Import the module of one widget; the others would take half a second more."""
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__package__}.{_MODULES[name]}"), name)
