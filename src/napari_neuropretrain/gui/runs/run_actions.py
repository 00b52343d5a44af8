"""The buttons of a run: what each does, and when it can."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.panels import open_panel
from napari_neuropretrain.gui.settings import free_folder
from napari_neuropretrain.runs.record import RunRecord

if TYPE_CHECKING:
    import napari

FORMS = {
    "preprocess": "Preprocess",
    "pretrain": "Pre-train",
    "finetune": "Fine-tune",
    "predict": "Predict",
    "explain": "Explain",
}
"""Name of the dock widget of each job that has one."""
_REPORTS = ("report.html", "quality.html")


def report_of(folder: Path) -> Path | None:
    """Return the page that a run wrote for people, if there is one."""
    for name in _REPORTS:
        if (folder / name).is_file():
            return folder / name
    return next(iter(sorted(folder.glob("*.html"))), None)


def open_page(path: Path) -> bool:
    """Show a page in the browser; False where the system knows no browser."""
    return bool(QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.absolute()))))


def changed_copy(record: RunRecord) -> Config:
    """Return the settings of a run for another one, in a folder of its own.

    Raises
    ------
    ConfigError
        If they cannot be read.
    """
    folder = record.folder
    name = re.sub(r"-\d+$", "", folder.name)
    changes: dict[str, Any] = {"output": free_folder(folder.parent, name)}
    return record.config().replace(**changes)


def open_form(viewer: napari.Viewer, job: str, config: Config) -> None:
    """Open the dock widget of a job, filled with settings.

    Raises
    ------
    ConfigError
        If the job has no form.
    """
    if job not in FORMS:
        raise ConfigError(f"'{job}' has no form. Copy it as a command instead.")
    widget = open_panel(viewer, FORMS[job])
    widget.leave()  # a run that the form shows goes on by itself
    widget.form.fill(config)
