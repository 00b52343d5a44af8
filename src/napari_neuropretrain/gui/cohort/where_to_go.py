"""From a cohort to the job that goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_neuropretrain.config.catalog import TASKS
from napari_neuropretrain.gui.jobs.finetune_widget import FinetuneWidget
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.panels import open_panel
from napari_neuropretrain.gui.settings import free_folder, read_settings

if TYPE_CHECKING:
    import napari

_FINETUNE, _SPLIT = "Fine-tune", "Make a split"
_TASKS = {"age": "brain_age", "sex": "sex"}
"""Task of a column; a column of other labels leaves the task to the person."""


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
