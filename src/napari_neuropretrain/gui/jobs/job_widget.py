"""The dock widget of a job: a form, Start and Cancel, and what the run says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from napari.utils import notifications
from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QApplication, QWidget

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.forms.form import Form
from napari_neuropretrain.gui.forms.sentence import Sentence
from napari_neuropretrain.gui.jobs.job_buttons import (
    add_keys,
    job_buttons,
    keep_focus,
    name_follow,
)
from napari_neuropretrain.gui.jobs.job_layout import lay_out
from napari_neuropretrain.gui.jobs.live_controls import LiveControls
from napari_neuropretrain.gui.jobs.reasons import by_field, what_is_not_there
from napari_neuropretrain.gui.jobs.results import Shown, load_result
from napari_neuropretrain.gui.panels import tab_with_others
from napari_neuropretrain.gui.runs.follow import Follower, Update
from napari_neuropretrain.gui.runs.run_commands import say_error
from napari_neuropretrain.gui.runs.run_panel import RunPanel
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.settings import form_defaults
from napari_neuropretrain.runs.child_run import Ending
from napari_neuropretrain.runs.command import command_line
from napari_neuropretrain.runs.process import attach, is_running, start
from napari_neuropretrain.runs.remedies import Remedy

if TYPE_CHECKING:
    from napari.components import ViewerModel


class JobWidget(QWidget):
    """Form, buttons and run panel of one job.

    Parameters
    ----------
    job
        Name in `JOBS`.
    title
        What people call it.
    viewer
        Where results are shown; None shows no layers.
    command
        Run this in place of the package's command line (the settings file is
        appended); for tests.
    """

    begun = Signal()
    """Emitted when a run is started or followed."""
    reported = Signal(object)
    """Emitted with the values of each event of a run."""
    ended = Signal(object)
    """Emitted with the `Ending` of a run."""
    shown = Signal(object)
    """Emitted with a `Shown` once it is on the screen."""

    def __init__(
        self,
        job: str,
        title: str,
        viewer: ViewerModel | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        tab_with_others(self)
        self.job, self.title, self._viewer, self._command = job, title, viewer, command
        self._follower: Follower | None = None
        self._worker: Any = None
        self._scan: Path | None = None
        self._ran: Config | None = None
        self._folder_run = Path()
        self._kinds_shown: set[str] = set()
        options = JOBS[job].options
        self.form = Form(options)
        self.form.propose(form_defaults(options, job))
        self.form.changed.connect(self._check)
        self.problem = Sentence()
        self.start_button, self.cancel_button, *others = job_buttons(self)
        self.follow_button, self.copy_button = others
        self.live = LiveControls(job)
        self.panel = RunPanel()
        self.panel.remedies.chosen.connect(self.retry)
        self.bottom = lay_out(self, (options.__doc__ or "").strip())
        add_keys(self)
        self._set_running(False)

    def start(self) -> None:
        """Start the job with the form's settings, or join the queue."""
        config = self._check()
        if config is None or self._follower is not None:
            return
        folder = Path(getattr(config, "output"))  # noqa: B009 - each config has it
        if is_running(folder):
            self.say(f"A job runs in '{folder}' already: press Follow run.")
            return
        begin = partial(start, self.job, config, self._command, queued=True)
        self._run(Follower(begin), config, folder)

    def retry(self, remedy: Remedy) -> None:
        """Fill in the settings of a remedy, and start."""
        self.form.fill(remedy.config)
        self.start()

    def follow_or_leave(self) -> None:
        """Show the latest run of the output folder, or leave the one that goes on."""
        (self.follow if self._follower is None else self.leave)()

    def leave(self) -> None:
        """Let a run go on by itself, so that the form is free for another one."""
        if self._follower is None:
            return
        worker = self._worker
        worker.yielded.disconnect(self._take)
        worker.returned.disconnect(self._end)
        worker.aborted.disconnect(self._leave)
        worker.quit()
        self._leave()
        self.panel.rest()
        name = self._folder_run.name
        self.panel.state.setText(f"'{name}' goes on by itself: the panel Runs has it.")

    def follow(self) -> None:
        """Show the latest run of the output folder, alive or ended."""
        output = self.form.values().get("output")
        if output is None:
            self.say("Give the output folder of a run to follow.")
            return
        if self._follower is None:
            self._run(Follower(partial(attach, output)), None, output)

    def cancel(self) -> None:
        """Ask the job to stop; pressed again, end it at once."""
        if self._follower is not None:
            self._follower.cancel()
            self.cancel_button.setText("End now")
            self.panel.state.setText("Stopping…")

    def copy_command(self) -> None:
        """Put the equivalent command line on the clipboard."""
        clipboard = QApplication.clipboard()
        self._check()
        try:
            config = self.form.config()
        except ConfigError:  # it is said by now
            return
        if clipboard is not None:  # its paths may be of another machine
            clipboard.setText(command_line(self.job, config))
            self.panel.state.setText("Copied the command.")

    def show_result(
        self, kind: str, path: Path, values: dict[str, Any] | None = None
    ) -> None:
        """Load a result in the background and show it."""
        given = (kind, path, self._scan, values or {})
        # Errors are told in the panel, not in a dialog.
        worker = create_worker(load_result, *given, _ignore_errors=True)
        worker.returned.connect(self._show)
        worker.errored.connect(self._loading_failed)
        worker.start()

    def _run(self, follower: Follower, config: Config | None, folder: Path) -> None:
        # A run that is followed may have had another input than the form has.
        given = getattr(config, "input", None)
        self._scan = Path(given) if given else None
        self._kinds_shown.clear()
        self._follower, self._ran, self._folder_run = follower, config, folder
        self.begun.emit()
        self.panel.reset()
        self.panel.curves.prepare()
        self.panel.busy()
        self._set_running(True)
        progress: dict[str, int | bool | str] = {"total": 0, "desc": self.title}
        self._worker = worker = create_worker(
            follower.updates, _progress=progress, _start_thread=False
        )
        worker.yielded.connect(self._take)
        worker.returned.connect(self._end)
        worker.aborted.connect(self._leave)
        worker.start()

    def _take(self, update: Update) -> None:
        if self.panel.state.text() != update.state:
            self.panel.state.setText(update.state)
        self.panel.take(update.events)
        for event in update.events:
            values = event.get("values", {})
            self.reported.emit(values)
            if event["state"] == "result":
                self._take_result(values)

    def _take_result(self, values: dict[str, Any]) -> None:
        kind, path = str(values.get("kind", "")), values.get("path")
        # One scan of a cohort is enough to look at.
        if path and kind not in self._kinds_shown:
            self._kinds_shown.add(kind)
            self.show_result(kind, Path(str(path)), values)

    def _end(self, ending: Ending) -> None:
        self._follower = None
        self._set_running(False)
        self.panel.show_ending(ending, self._ran)
        good = ending.state in ("finished", "stopped")
        notify = notifications.show_info if good else notifications.show_warning
        notify(f"{self.title}: {ending.sentence.splitlines()[0]}")
        self.ended.emit(ending)

    def _leave(self) -> None:
        """Let go of a run that continues without us, as when napari closes."""
        self._follower = None
        self._set_running(False)

    def _show(self, shown: Shown) -> None:
        if self._viewer is not None:
            view.add_layers(self._viewer, shown.layers)
        self.panel.show_table(shown.table)
        if shown.text:
            self.panel.log.appendPlainText(shown.text)
        self.shown.emit(shown)

    def _loading_failed(self, error: Exception) -> None:
        self.say(f"The result cannot be shown. {say_error(error)}")

    def _check(self) -> Config | None:
        """Return the settings, or show everything that is wrong with them."""
        absent = what_is_not_there(JOBS[self.job].options, self.form.values())
        config, lines = None, []
        if missing := self.form.missing():
            lines = [self.form.wrong(), *absent]
            needed = f"To start, fill in: {', '.join(missing)}."
            wrong = any(lines)
            lines.append(needed)
        else:
            try:
                config, wrong = self.form.config(), True
                lines = absent
            except ConfigError as error:
                lines, wrong = [str(error), *absent], True
        self.say("\n".join(line for line in lines if line), wrong)
        if lines:
            config = None
        self.start_button.setEnabled(config is not None and self._follower is None)
        return config

    def say(self, text: str, wrong: bool = True) -> None:
        """Show a sentence above the buttons, until the form changes."""
        text = "\n".join(dict.fromkeys(text.splitlines()))
        self.problem.say(text, "wrong" if wrong else "plain")
        self.form.point_out(by_field(text, self.form.widgets) if wrong else {})

    def _set_running(self, running: bool) -> None:
        for part in (self.cancel_button, self.start_button, self.form):
            part.setEnabled(True)  # or there is nothing to hand the focus to
        keep_focus(self, running)
        self.cancel_button.setEnabled(running)
        self.start_button.setEnabled(not running)
        self.form.setEnabled(not running)
        if not running:
            self._check()
        name_follow(self.follow_button, running)
        self.live.follow(self._folder_run if running else None)
        self.cancel_button.setText("Cancel")
