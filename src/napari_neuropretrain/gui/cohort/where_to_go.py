"""From a cohort to the job that goes on with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.panels import open_panel
from napari_neuropretrain.gui.settings import free_folder, read_settings

if TYPE_CHECKING:
    import napari

_FINETUNE, _SPLIT = "Fine-tune", "Make a split"
_TASKS = {"age": "brain_age", "sex": "sex"}
"""Task of a column; a column of other labels leaves the task to the person."""


class NextJobs(QObject):
    """Hands a cohort to the jobs that go on with it.

    Parameters
    ----------
    viewer
        Where forms are docked.
    """

    divided = Signal(Path)
    """Emitted with the run folder of a division that was made."""
    refused = Signal(str)
    """Emitted with the reason why a job cannot have the cohort."""

    def __init__(self, viewer: napari.Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._splits: list[JobWidget] = []

    def split(self, cohort: CohortEdits | None, label: str) -> None:
        """Open the job split with this cohort."""
        if cohort is None or not self._saved(cohort):
            return
        job = make_split(self._viewer, cohort.overview.root, label)
        if job not in self._splits:
            self._splits.append(job)
            job.ended.connect(partial(self._take, job))

    def fine_tune(
        self, cohort: CohortEdits | None, label: str, division: Path | None
    ) -> None:
        """Hand the cohort, its label and its division to the form Fine-tune."""
        if cohort is not None and self._saved(cohort):
            fine_tune(self._viewer, cohort.overview.root, label, division)

    def _saved(self, cohort: CohortEdits) -> bool:
        """Whether what the jobs would read is what is shown; say so if not."""
        if cohort.changes:
            self.refused.emit("Save the changes first: jobs read the table on disk.")
        return not cohort.changes

    def _take(self, job: JobWidget, ending: object) -> None:
        output = job.form.values().get("output")
        if getattr(ending, "state", "") == "finished" and output is not None:
            self.divided.emit(Path(output))


def fine_tune(
    viewer: napari.Viewer, cohort: Path, label: str, division: Path | None
) -> FinetuneWidget:
    """Open the form Fine-tune, or find it, and fill in the cohort.

    Parameters
    ----------
    viewer
        Where the form is docked.
    cohort
        Folder or table.
    label
        Column with the label; the task that reads it is chosen, if there is one.
    division
        Split file; None leaves the fractions.
    """
    widget: FinetuneWidget = open_panel(viewer, _FINETUNE)
    values: dict[str, object] = {"cohort": cohort}
    if task := _TASKS.get(label.lower()):
        values["task"] = task
    elif label:
        task = str(widget.form.widgets["task"].value)
        known = getattr(TASKS[task].options(), "label", "")
        values["label"] = "" if known == label.lower() else label
    if division is not None:
        values["splits"] = division
    widget.form.propose(values)
    return widget


def make_split(viewer: napari.Viewer, cohort: Path, label: str) -> JobWidget:
    """Open the form of the job split, or find it, and fill in the cohort."""
    docked = viewer.window.dock_widgets.get(_SPLIT)
    if isinstance(docked, JobWidget):
        widget = docked
    else:
        widget = JobWidget("split", _SPLIT, viewer)
        viewer.window.add_dock_widget(widget, name=_SPLIT, tabify=True)
    output = free_folder(read_settings().project_folder, "split")
    widget.form.propose({"cohort": cohort, "label": label, "output": output})
    return widget
