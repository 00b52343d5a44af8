"""The dock widget of pre-training: what fits together, and what the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.estimate import PretrainEstimateConfig
from napari_neuropretrain.config.fields import NOTHING
from napari_neuropretrain.config.options.sources import CohortOptions
from napari_neuropretrain.config.preview import PreviewConfig
from napari_neuropretrain.config.trainings import PretrainConfig
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.jobs.estimate_panel import estimate_config
from napari_neuropretrain.gui.jobs.preview_panel import PreviewPanel
from napari_neuropretrain.gui.jobs.training_widget import TrainingWidget
from napari_neuropretrain.runs import CONFIG, check_inputs

if TYPE_CHECKING:
    from napari.components import ViewerModel


class PretrainWidget(TrainingWidget):
    """Pre-train a backbone, from a cohort or another source of volumes.

    Parameters
    ----------
    napari_viewer
        Where previews are shown.
    command, estimate_command
        Run these in place of the package's command line; for tests.
    """

    def __init__(
        self,
        napari_viewer: ViewerModel | None,
        command: Sequence[str] | None = None,
        estimate_command: Sequence[str] | None = None,
    ) -> None:
        title = "Pre-train"
        super().__init__("pretrain", title, napari_viewer, command, estimate_command)
        self.preview = PreviewPanel(napari_viewer, self.preview_config, command)
        self.bottom.insertWidget(3, self.preview)
        self._check()

    def preview_config(self, index: int, output: Path) -> PreviewConfig | None:
        """Return the settings of a preview, or say why there is none.

        Parameters
        ----------
        index
            Which volume.
        output
            Where to write it; the form's own output is the run whose weights restore.
        """
        values = self.form.values()
        run = values.pop("output", None)
        given = {"output": output, "index": index}
        if run is not None and (run / CONFIG).is_file():
            given["run"] = run
        try:
            config = PreviewConfig.parse(values | given, "the form")
        except ConfigError as error:
            self.preview.said.setText(str(error))
            return None
        if problem := missing_path(config):
            self.preview.said.setText(problem)
            return None
        return config

    def _check(self) -> Config | None:
        """Return the settings if they can be trained with, or say why not."""
        self._ask_for_cohort()
        return super()._check()

    def _to_estimate(
        self, values: dict[str, Any]
    ) -> tuple[PretrainEstimateConfig | None, str]:
        settings = estimate_config(PretrainEstimateConfig, values)
        return settings, _problem(values, settings)

    def _ask_for_cohort(self) -> None:
        """Want a cohort where it is the source, and only there."""
        form = self.form
        source = str(form.widgets["source"].value)
        form.set_used("cohort", source == "cohort", "not used")
        given: Any = form.choices["source"].value()
        with_path = isinstance(given, dict) and "path" in given
        form.wanted = {"cohort"} if source == "cohort" and not with_path else set()


def missing_path(config: PretrainConfig) -> str:
    """Return which input of a pre-training is not there, or an empty string."""
    options = config.source.options
    try:
        check_inputs(config)
        if config.cohort == NOTHING and options != CohortOptions():
            check_inputs(options)
    except ConfigError as error:
        text = str(error)
        return f"source: {text}" if text.startswith("path:") else text
    return ""


def _problem(values: dict[str, Any], settings: PretrainEstimateConfig | None) -> str:
    """Return which input is not there, whatever else is missing."""
    cohort = values.get("cohort")
    if cohort is not None and not cohort.exists():
        words = "Give the path of an existing file or folder."
        return f"cohort: nothing at '{cohort}'. {words}"
    return missing_path(settings) if settings is not None else ""
