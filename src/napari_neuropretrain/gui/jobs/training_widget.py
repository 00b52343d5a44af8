"""The dock widget of a training: what fits together, and what it would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.gui.jobs.estimate_panel import EstimatePanel
from napari_neuropretrain.gui.jobs.estimate_process import AnyEstimateConfig
from napari_neuropretrain.gui.jobs.job_widget import JobWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel


class TrainingWidget(JobWidget):
    """A job widget with initial weights and an estimate.

    Parameters
    ----------
    job, title, viewer, command
        See `JobWidget`.
    estimate_command
        Run this in place of the package's command line; for tests.
    """

    def __init__(
        self,
        job: str,
        title: str,
        viewer: ViewerModel | None,
        command: Sequence[str] | None = None,
        estimate_command: Sequence[str] | None = None,
    ) -> None:
        self._ready = False
        super().__init__(job, title, viewer, command)
        self.weights = self.form.weights["initial_weights"]
        self.estimate = EstimatePanel(estimate_command)
        self.bottom.insertWidget(0, self.estimate)
        self.estimate.changed.connect(self._check)
        self._ready = True

    def _to_estimate(
        self, values: dict[str, Any]
    ) -> tuple[AnyEstimateConfig | None, str]:
        """Return the settings of an estimate, and what is known to be wrong."""
        raise NotImplementedError

    def _set_running(self, running: bool) -> None:
        """Make room for the run; an estimate beside it would only disturb it."""
        super()._set_running(running)
        if self._ready and running:
            self.estimate.stop()
            self.estimate.hide()

    def _check(self) -> Config | None:
        """Return the settings if they can be trained with, or say why not."""
        config = super()._check()
        if not self._ready:
            return config
        self.weights.offer(str(self.form.widgets["backbone"].value))
        settings, problem = self._to_estimate(self.form.values())
        problem = self.weights.describe().problem or problem
        if self._follower is None:
            # What is known to fail need not be tried.
            self.estimate.request(settings, trial=not problem)
        problem = problem or self.estimate.found.problem
        if not problem:
            return config
        said = self.problem.text() if config is None else ""
        self.say(f"{problem}\n{said}".strip())
        self.start_button.setEnabled(False)
        return None
