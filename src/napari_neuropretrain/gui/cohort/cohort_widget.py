"""The dock widget of a cohort: who is in it, what is wrong, and where to go on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.data.cohort_overview import Overview
from napari_neuropretrain.data.cohort_problems import find_problems
from napari_neuropretrain.data.division_problems import Division, read_division
from napari_neuropretrain.data.problems import count
from napari_neuropretrain.data.scan_headers import Header
from napari_neuropretrain.errors import CohortError, ConfigError
from napari_neuropretrain.gui.cohort.cohort_panel import CohortPanel
from napari_neuropretrain.gui.cohort.counting import say_counts
from napari_neuropretrain.gui.cohort.editing import Editing
from napari_neuropretrain.gui.cohort.loading import CohortLoader
from napari_neuropretrain.gui.cohort.picking import likely_label, picked
from napari_neuropretrain.gui.cohort.pictures import Pictures
from napari_neuropretrain.gui.cohort.table_model import CohortModel
from napari_neuropretrain.gui.cohort.where_to_go import NextJobs
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.panels import tab_with_others
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.layers import LayerData

if TYPE_CHECKING:
    import napari

_PAUSE_MS = 250
"""After a change, what is wrong is looked for when no other follows so soon."""
_TABLES = "Tables (*.tsv *.csv)"


class CohortWidget(QWidget):
    """See, mend, filter and save a cohort, and go on with it.

    Nothing of the scans is ever changed. Headers and pictures are read in the
    background.

    Parameters
    ----------
    napari_viewer
        Where scans are opened.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        tab_with_others(self)
        self._viewer, self.title = napari_viewer, "Cohort"
        self.loader = CohortLoader(self)
        self.division: Division | None = None
        self.headers: dict[int, Header] = {}
        self.brains: tuple[tuple[int, int], ...] = ()
        self.next = NextJobs(napari_viewer, self)
        self.pictures = Pictures(self)
        self.model = CohortModel(self.pictures)
        self.panel = CohortPanel(self.model)
        self.editing = Editing(self.panel, self)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_PAUSE_MS)
        self._rest.timeout.connect(self.check)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self._connect()
        self.panel.say("Open a BIDS folder, a folder of images, or a table.", False)

    @property
    def cohort(self) -> CohortEdits | None:
        """The table that is shown, with what was changed in it."""
        return self.editing.cohort

    def open(self, path: Path) -> None:
        """Read a cohort in the background and show it."""
        self.panel.say(f"Reading '{path}'…", False)
        self.loader.open(path)

    def check(self) -> None:
        """Look for what is wrong, and count anew."""
        if self.cohort is None:
            return
        label = self.panel.label.currentText()
        known = (self.headers, self.division, self.brains)
        problems = find_problems(self.cohort, label, *known)
        self.panel.problems.show_problems(problems)
        self.model.set_problems(problems)
        number = len(problems)
        self.panel.tabs.setTabText(0, f"Problems ({number})" if number else "Problems")
        self._count()

    def show_division(self, path: Path) -> None:
        """Show who is in which part of a split file or run; say so if it is none."""
        try:
            self.division = read_division(path)
        except (CohortError, OSError) as error:
            self.panel.say(str(error))
            return
        if self.cohort is not None:
            part_of, members = self.division.part_of, self.cohort.members
            self.model.set_parts({m.number: part_of(m.participant) for m in members})
            self._filter()
            self.panel.size_columns()
        self.panel.by.setCurrentText("part")
        place = self.division.path
        self.panel.say(f"Parts of '{place.parent.name}/{place.name}'.", False)
        self.check()

    def open_scan(self, number: int) -> None:
        """Show the scan of a member in the viewer."""
        path = self.cohort.members[number].path if self.cohort else None
        if path is None:
            self.panel.say("There is no scan of this line.")
            return
        self.loader.read_scan(path)

    def compare_brains(self) -> None:
        """Look for one person under two names, in the background."""
        if self.cohort is None:
            return
        if self.cohort.overview.kind != "preprocessed":
            self.panel.say(
                "These scans are raw: only aligned volumes can be compared. Preprocess "
                "them, and open the derivatives folder."
            )
            return
        self.panel.buttons.brains.setEnabled(False)
        self.panel.say("Comparing the volumes…", False)
        self.loader.compare(self.cohort)

    def make_split(self) -> None:
        """Open the job split with this cohort."""
        self.next.split(self.cohort, self.panel.label.currentText())

    def fine_tune(self) -> None:
        """Hand the cohort, its label and its division to the form Fine-tune."""
        division = self.division.path if self.division else None
        self.next.fine_tune(self.cohort, self.panel.label.currentText(), division)

    def _connect(self) -> None:
        panel, editing = self.panel, self.editing
        for button, slot in (
            (panel.buttons.folder, partial(self._ask, "folder")),
            (panel.buttons.table, partial(self._ask, "file")),
            (panel.buttons.reload, self._reload),
            (panel.buttons.split, partial(self._ask_division, "file")),
            (panel.buttons.run_split, partial(self._ask_division, "folder")),
            (panel.buttons.exclude, editing.exclude),
            (panel.buttons.exclude_hidden, editing.exclude_hidden),
            (panel.buttons.undo, editing.undo),
            (panel.buttons.save, editing.save),
            (panel.buttons.brains, self.compare_brains),
            (panel.buttons.new_split, self.make_split),
            (panel.buttons.finetune, self.fine_tune),
        ):
            button.clicked.connect(partial(_call, slot))
        loader = self.loader
        loader.overview.connect(self._show)
        loader.headers.connect(self._take_headers)
        loader.brains.connect(self._take_brains)
        loader.layers.connect(self._take_layers)
        loader.failed.connect(panel.say)
        self.next.divided.connect(self.show_division)
        self.next.refused.connect(panel.say)
        panel.opened.connect(self.open_scan)
        panel.filter.textChanged.connect(self._filter)
        panel.label.currentTextChanged.connect(self._choose_label)
        panel.by.currentTextChanged.connect(self._count)
        self.model.edited.connect(editing.redraw)
        editing.changed.connect(self._count)
        editing.changed.connect(self._rest.start)
        self.model.refused.connect(panel.say)
        panel.add_shortcut("Ctrl+Shift+F", panel.filter.setFocus)
        panel.add_shortcut("Ctrl+Shift+X", editing.exclude)
        panel.add_shortcut("Ctrl+Z", editing.undo)
        panel.add_shortcut("Ctrl+Shift+S", editing.save)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Let go of what is still being read."""
        self.loader.leave()
        self.pictures.forget()
        super().closeEvent(event)

    def _show(self, overview: Overview) -> None:
        """Show a cohort that was read, and go on with its headers."""
        self.editing.cohort = cohort = CohortEdits(overview)
        self.headers, self.brains, self.division = {}, (), None
        self.pictures.forget()
        self.model.set_parts({})
        self.model.set_cohort(cohort, label := likely_label(cohort))
        self.panel.offer_labels(cohort.columns, label)
        self.panel.filter.clear()
        self.panel.size_columns()
        self.panel.offer(True)
        self.panel.place.setToolTip(str(overview.root))
        self.panel.say("")
        self.check()
        self.loader.read_headers(overview.members)

    def _take_headers(self, found: dict[int, Header], last: bool) -> None:
        self.headers |= found
        if last:
            self.check()

    def _take_brains(self, pairs: tuple[tuple[int, int], ...]) -> None:
        self.brains = pairs
        self.panel.buttons.brains.setEnabled(True)
        found = count(len(pairs), "pair")
        words = f"{found} of scans show the same brain." if pairs else "All differ."
        self.panel.say(f"Compared the volumes. {words}", bool(pairs))
        self.check()

    def _take_layers(self, layers: list[LayerData]) -> None:
        view.add_layers(self._viewer, layers)

    def _filter(self, text: str = "") -> None:
        """List whom the filter picks; say what is wrong with it."""
        if self.cohort is None:
            return
        try:
            shown = picked(self.panel.filter.text(), self.cohort, self.model)
        except ConfigError as error:
            self.panel.say(str(error))
            return
        self.panel.say("")
        self.model.show_only(shown)
        self.panel.sort_again()
        self._count()

    def _choose_label(self, label: str) -> None:
        if self.cohort is not None:
            self.model.set_label(label)
            self.panel.size_columns()
            self.check()

    def _count(self, text: str = "") -> None:
        if self.cohort is not None:
            say_counts(self.panel, self.cohort)

    def _ask(self, kind: Literal["file", "folder"]) -> None:
        start = str(self.cohort.overview.root) if self.cohort is not None else ""
        title = "Cohort folder" if kind == "folder" else "Table of a cohort"
        choose_path(self, title, kind, self.open, start, _TABLES)

    def _ask_division(self, kind: Literal["file", "folder"]) -> None:
        title = "Split file" if kind == "file" else "Run folder with a split"
        start = str(self.division.path) if self.division is not None else ""
        choose_path(self, title, kind, self.show_division, start, _TABLES)

    def _reload(self) -> None:
        if self.cohort is not None:
            self.open(self.cohort.overview.root)


def _call(slot: Callable[[], object], checked: bool = False) -> None:
    slot()
