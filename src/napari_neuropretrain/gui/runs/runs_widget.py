"""The dock widget Runs: every run of a project folder, live and finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.forms import panel_keys
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.forms.panel_keys import press_with
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.panels import tab_with_others
from napari_neuropretrain.gui.runs.confirm_strip import ConfirmStrip
from napari_neuropretrain.gui.runs.run_actions import (
    changed_copy,
    open_form,
    open_page,
    report_of,
)
from napari_neuropretrain.gui.runs.run_buttons import RunButtons
from napari_neuropretrain.gui.runs.run_commands import RunCommands, say_error
from napari_neuropretrain.gui.runs.run_details import RunDetails
from napari_neuropretrain.gui.runs.run_tree import RunTree
from napari_neuropretrain.gui.runs.watch import Watch
from napari_neuropretrain.gui.settings import change_settings, read_settings
from napari_neuropretrain.runs.command import command_line
from napari_neuropretrain.runs.project import Listed
from napari_neuropretrain.runs.record import RunRecord
from napari_neuropretrain.runs.remedies import Remedy

if TYPE_CHECKING:
    import napari

_REFRESH_MS = 400
_HEIGHTS = [190, 610]
"""Of the list and of what is below, in pixels."""


class RunsWidget(QWidget):
    """Every run below a folder: how far it is, its curves, and what to do with it.

    Parameters
    ----------
    napari_viewer
        Where forms are opened; None opens none.
    folder
        The project folder; the one of the settings by default.
    """

    title = "Runs"

    def __init__(
        self, napari_viewer: napari.Viewer | None = None, folder: Path | None = None
    ) -> None:
        super().__init__()
        tab_with_others(self)
        self._viewer = napari_viewer
        self.folder = QLineEdit()
        self.folder.setToolTip("All runs below this folder are listed.")
        self.folder.editingFinished.connect(self._typed)
        self.choose = QPushButton("Folder…")
        self.choose.setToolTip("Choose the folder whose runs are listed.")
        self.choose.clicked.connect(self._choose)
        self.tree, self.details = RunTree(), RunDetails()
        self.buttons, self.said = RunButtons(), WrappedLabel()
        self.confirm, self.commands = ConfirmStrip(), RunCommands()
        self._said_of = Path()
        self.tree.chosen.connect(self._show_chosen)
        self._connect_buttons()
        self._lay_out()
        self._project = folder or read_settings().project_folder
        # Threads are told when the widget is gone.
        self._watches: list[Watch] = []
        self.destroyed.connect(partial(_stop, self._watches))
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_REFRESH_MS)
        self.open_folder(self._project)

    def open_folder(self, folder: Path) -> None:
        """List the runs below a folder from now on."""
        _stop(self._watches)
        self._watch = Watch(folder)
        self._watches.append(self._watch)
        self._project = folder
        self.folder.setText(str(folder))
        self._tell("")
        self.tree.show_runs([])
        self._show_chosen()

    def refresh(self) -> None:
        """Show what the watch has found since the last time."""
        found = self._watch.latest()
        if found is None:
            return
        before = self.tree.records()
        self.tree.show_runs(found)
        self._say_empty(found)
        if any(one.record.live for one in found):
            self.details.curves.prepare()
        now = self.tree.records()
        same = len(now) == len(before)
        if not same or any(a is not b for a, b in zip(now, before, strict=True)):
            self._show_chosen()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.folder, 1)
        top.addWidget(self.choose)
        lower = QWidget()
        column = QVBoxLayout(lower)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.buttons, self.confirm, self.said):
            column.addWidget(widget)
        column.addWidget(self.details, 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.tree)
        split.addWidget(lower)
        split.setChildrenCollapsible(False)
        split.setSizes(_HEIGHTS)
        split.setStretchFactor(1, 1)
        outer = QVBoxLayout(self)
        outer.addLayout(top)
        outer.addWidget(split, 1)
        self.setMinimumWidth(380)
        policy = QSizePolicy.Policy.Expanding  # else napari leaves room below
        self.setSizePolicy(policy, policy)

    def _connect_buttons(self) -> None:
        buttons, commands = self.buttons, self.commands
        for button, command in (
            (buttons.pause, commands.pause_or_resume),
            (buttons.keep_best, commands.keep_best),
            (buttons.cancel, commands.cancel),
            (buttons.again, self._run_again),
            (buttons.copy, self._copy),
            (buttons.report, self._open_report),
            (buttons.delete, self._ask_to_delete),
        ):
            button.clicked.connect(partial(self._with_chosen, command))
        for keys, button in (
            (panel_keys.PAUSE, buttons.pause),
            (panel_keys.KEEP_BEST, buttons.keep_best),
            (panel_keys.CANCEL, buttons.cancel),
            (panel_keys.AGAIN, buttons.again),
            (panel_keys.COPY, buttons.copy),
        ):
            press_with(keys, button, self)
        press_with("Del", buttons.delete, self.tree)
        buttons.remedy_chosen.connect(self._retry)
        self.confirm.agreed.connect(self._delete)
        commands.said.connect(self._tell)
        commands.changed.connect(lambda: self._watch.search())

    def _with_chosen(
        self, command: Callable[[RunRecord], None], checked: bool = False
    ) -> None:
        if (record := self._chosen()) is not None:
            command(record)

    def _retry(self, remedy: Remedy) -> None:
        if (record := self._chosen()) is not None:
            self.commands.start(record.job, remedy.config)

    def _show_chosen(self) -> None:
        records = self.tree.records()
        if records and records[0].folder != self._said_of:
            self._said_of = records[0].folder
            self._tell("")  # what was said is of another run
        several = len(records) > 1
        names = [self.tree.name_of(one.folder) if several else "" for one in records]
        self.details.show_runs(records, names)
        self.buttons.show_run(records[0] if records else None)
        if not records or str(records[0].folder) != self.confirm.subject:
            self.confirm.hide()

    def _say_empty(self, found: Sequence[Listed]) -> None:
        if not found:
            self._tell(
                f"No run below '{self._project}' yet. Start one with Preprocess or "
                "Fine-tune, or choose another folder."
            )
        elif self.said.text().startswith("No run below"):
            self._tell("")

    def _tell(self, sentence: str) -> None:
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))

    def _chosen(self) -> RunRecord | None:
        return next(iter(self.tree.records()), None)

    def _complain(self, error: Exception) -> None:
        self._tell(say_error(error))

    def _run_again(self, record: RunRecord) -> None:
        if self._viewer is None:
            return
        try:
            open_form(self._viewer, record.job, changed_copy(record))
        except ConfigError as error:
            self._complain(error)

    def _copy(self, record: RunRecord) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is None:
            return
        try:
            clipboard.setText(command_line(record.job, record.config()))
        except (ConfigError, OSError) as error:
            self._complain(error)
        else:
            self._tell("Copied the command.")

    def _open_report(self, record: RunRecord) -> None:
        page = report_of(record.folder)
        if page is not None and not open_page(page):
            self._tell(f"No browser was found. The report is '{page}'.")

    def _ask_to_delete(self, record: RunRecord) -> None:
        self.confirm.ask(
            str(record.folder),
            f"Move '{record.folder}' with all its results to the trash of this "
            "project?",
            "Move to trash",
        )

    def _delete(self, folder: str) -> None:
        self.commands.delete(Path(folder), self._project)

    def _typed(self) -> None:
        folder = Path(self.folder.text().strip()).expanduser()
        if folder != self._project:
            self._change_folder(folder)

    def _choose(self) -> None:
        choose_path(
            self, "Project folder", "folder", self._change_folder, self.folder.text()
        )

    def _change_folder(self, folder: Path) -> None:
        change_settings(project_folder=folder)
        self.open_folder(folder)


def _stop(watches: list[Watch], gone: object = None) -> None:
    while watches:
        watches.pop().stop()
