"""The dock widget of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.config.estimate import EstimateConfig
from napari_neuropretrain.gui.jobs.estimate_panel import estimate_config
from napari_neuropretrain.gui.jobs.training_widget import TrainingWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel


class FinetuneWidget(TrainingWidget):
    """Train a network for a task.

    Parameters
    ----------
    napari_viewer
        Where results are shown.
    command, estimate_command
        Run these in place of the package's command line; for tests.
    """

    def __init__(
        self,
        napari_viewer: ViewerModel | None,
        command: Sequence[str] | None = None,
        estimate_command: Sequence[str] | None = None,
    ) -> None:
        title = "Fine-tune"
        super().__init__("finetune", title, napari_viewer, command, estimate_command)
        self._check()

    def _to_estimate(self, values: dict[str, Any]) -> tuple[EstimateConfig | None, str]:
        return estimate_config(EstimateConfig, values), ""
