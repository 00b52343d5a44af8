"""The dock widget to keep, look at or reject the scans of a cohort."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_neuropretrain.data.quality import (
    QUALITY_TABLE,
    QualityRow,
    decide,
    read_quality,
)
from napari_neuropretrain.errors import CohortError, NeuropretrainError
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.panels import open_panel, tab_with_others
from napari_neuropretrain.gui.review.review_panel import ReviewPanel
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import LayerData
from napari_neuropretrain.gui.scans.scan_pair import pair_layers, preproc_of
from napari_neuropretrain.gui.scans.view_controls import ViewControls

if TYPE_CHECKING:
    import napari

REPORT = "quality.html"
_NAME = "Review quality"
_PAUSE_MS = 150
"""A scan is loaded when the selection rests so long."""


class ReviewWidget(QWidget):
    """Go through the scans of a derivatives folder and decide about each.

    Every decision and note is written into ``quality.tsv`` at once.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        tab_with_others(self)
        self._viewer = napari_viewer
        self._loads = 0
        self.folder: Path | None = None
        self.rows: dict[str, QualityRow] = {}
        self.panel = ReviewPanel(ViewControls(napari_viewer, False, sides=True))
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_PAUSE_MS)
        self._rest.timeout.connect(self._load)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.panel.chosen.connect(self._choose)
        self.panel.decided.connect(self.decide)
        self.panel.noted.connect(self._note)
        self.panel.folder_button.clicked.connect(self._ask_folder)
        self.panel.reload_button.clicked.connect(self.reload)
        self.panel.report_button.clicked.connect(self._open_report)
        if (folder := _folder_shown(napari_viewer)) is not None:
            self.open_folder(folder)
        else:
            self.panel.say("Choose the output folder of a preprocessing.", False)

    def open_folder(self, folder: Path) -> None:
        """List the scans of a derivatives folder; say so if it has no table."""
        self.folder = folder
        self.reload()

    def reload(self, checked: bool = False) -> None:
        """Read the table of the folder again."""
        if self.folder is None:
            return
        self.rows, problem = {}, ""
        try:
            self.rows = read_quality(self.folder)
        except (CohortError, OSError) as error:
            problem = str(error)
        if not self.rows and not problem:
            problem = f"There is no '{QUALITY_TABLE}' in '{self.folder}'. Preprocess "
            problem += "scans into it first, or choose another folder."
        self.panel.report_button.setEnabled(has_report(self.folder))
        self.panel.show_rows(self.folder, self.rows)
        self.panel.say(problem)

    def decide(self, decision: str, note: str | None = None) -> None:
        """Write a decision about the selected scan; empty takes it back."""
        key = self.panel.key
        if self.folder is None or key not in self.rows:
            return
        words = self.panel.note.text() if note is None else note
        try:
            self.rows[key] = decide(self.folder, key, decision, words)
        except (CohortError, OSError) as error:
            self.panel.say(_sentence(error, self.folder))
            return
        self.panel.say("")
        self.panel.show_row(self.rows[key])

    def _note(self, note: str) -> None:
        row = self.rows.get(self.panel.key)
        if row is not None and note.strip() != row.note:
            self.decide(row.decision, note)

    def _choose(self, key: str) -> None:
        if key:
            self._rest.start()

    def _load(self) -> None:
        """Read the selected scan's layers in the background."""
        row = self.rows.get(self.panel.key)
        if row is None or self.folder is None:
            return
        self._loads += 1
        preproc = preproc_of(self.folder, row.participant, row.session)
        if preproc is None:
            view.remove_sides(self._viewer)
            self.panel.say(f"There is no image of {row.key}: it failed.", False)
            return
        worker = create_worker(pair_layers, preproc, _ignore_errors=True)
        worker.returned.connect(partial(self._show, self._loads))
        worker.errored.connect(partial(self._loading_failed, self._loads))
        worker.start()

    def _show(self, load: int, layers: list[LayerData]) -> None:
        # The person may have gone on meanwhile.
        if load == self._loads:
            view.add_layers(self._viewer, layers)

    def _loading_failed(self, load: int, error: Exception) -> None:
        if load == self._loads:
            kind = "" if isinstance(error, NeuropretrainError) else type(error).__name__
            self.panel.say(f"The scan cannot be shown. {kind} {error}")

    def _ask_folder(self, checked: bool = False) -> None:
        start = str(self.folder or "")
        choose_path(self, "Derivatives folder", "folder", self.open_folder, start)

    def _open_report(self, checked: bool = False) -> None:
        if self.folder is not None:
            open_report(self.folder)


def has_report(folder: Path) -> bool:
    """Whether a folder has the quality page."""
    return (folder / REPORT).is_file()


def open_report(folder: Path) -> bool:
    """Show the quality page of a folder in the browser; False if it cannot be."""
    page = (folder / REPORT).absolute()
    return page.is_file() and QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))


def open_review(viewer: napari.Viewer, folder: Path) -> ReviewWidget:
    """Open the review beside the other docks, or find it, and list `folder`."""
    review: ReviewWidget = open_panel(viewer, _NAME)
    review.open_folder(folder)
    return review


def open_reviews(viewer: napari.Viewer) -> list[ReviewWidget]:
    """Return the reviews that are open in a viewer; none without a window."""
    docked = getattr(getattr(viewer, "window", None), "dock_widgets", {})
    return [one for one in docked.values() if isinstance(one, ReviewWidget)]


def _folder_shown(viewer: napari.Viewer) -> Path | None:
    """Return the derivatives folder of the scan in the viewer, if it has a table."""
    for layer in viewer.layers:
        for parent in Path(str(layer.metadata.get("path", ""))).parents:
            if (parent / QUALITY_TABLE).is_file():
                return parent
    return None


def _sentence(error: Exception, folder: Path) -> str:
    if isinstance(error, CohortError):
        return str(error)
    reason = getattr(error, "strerror", None) or str(error)
    return (
        f"The decision is not written: '{folder / QUALITY_TABLE}' ({reason}). Make the "
        "folder writable, or copy it to where you may write."
    )
