"""The dock widget of the guided path: five steps, one button."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QWidget

from napari_neuropretrain.config.jobs import DemoConfig
from napari_neuropretrain.demo.steps import STEPS
from napari_neuropretrain.errors import ConfigError, NeuropretrainError
from napari_neuropretrain.gui.guide.guide_layout import GuideParts, lay_out_guide
from napari_neuropretrain.gui.guide.pages import END, PAGES
from napari_neuropretrain.gui.guide.path_state import (
    StepState,
    keep_settings,
    path_settings,
    read_steps,
    shown_first,
)
from napari_neuropretrain.gui.guide.seen import Seen, look_at
from napari_neuropretrain.gui.jobs.followed_run import FollowedRun
from napari_neuropretrain.gui.panels import tab_with_others
from napari_neuropretrain.gui.runs.follow import Update
from napari_neuropretrain.gui.scans import view
from napari_neuropretrain.gui.scans.view_controls import ViewControls
from napari_neuropretrain.gui.settings import read_settings
from napari_neuropretrain.runs.child_run import Ending

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

FOLDER = "guided-path"


class GuideWidget(QWidget):
    """Go from nothing to a finished demo by pressing Next.

    Parameters
    ----------
    napari_viewer
        Where each step shows its layers.
    command
        Run this in place of the package's command line; for tests.
    """

    stepped = Signal(object)
    """Emitted with the `Ending` of a step."""
    showed = Signal(object)
    """Emitted with a `Seen` once it is on the screen."""

    def __init__(
        self, napari_viewer: napari.Viewer, command: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        tab_with_others(self)
        self.title, self._viewer = "Guided path", napari_viewer
        self.shown, self._loads = 0, 0
        self._added: list[Layer] = []
        self.states: list[StepState] = []
        self.run = FollowedRun(command)
        self.run.updated.connect(self._take)
        self.run.ended.connect(self._end)
        self.parts = GuideParts()
        self.controls = ViewControls(napari_viewer, threshold=False, sides=True)
        lay_out_guide(self, self.parts, self.controls)
        self.parts.next.clicked.connect(lambda checked=False: self.go_on())
        self.parts.repeat.clicked.connect(lambda checked=False: self.repeat())
        self.parts.cancel.clicked.connect(lambda checked=False: self.cancel())
        self.parts.steps.chosen.connect(self.show_step)
        self.parts.folder_chosen.connect(self.open_folder)
        # Reading a folder may take a while on a slow disk: first the widget opens.
        QTimer.singleShot(0, self._open_first)

    @property
    def config(self) -> DemoConfig:
        """The settings of the path in the folder that is filled in."""
        return path_settings(self.parts.folder())

    def open_folder(self, folder: Path) -> None:
        """Show how far the path in a folder is; follow a step that still runs."""
        if self.run.running:
            return
        self.parts.fill_folder(folder)
        self.states = read_steps(folder)
        self.show_step(shown_first(self.states))
        if self.states[self.shown].state == "running":
            step = STEPS[self.shown]
            self._begin()
            self.run.attach(folder / step.folder, PAGES[step.name].title)

    def go_on(self) -> None:
        """Start the step that is shown, or the next one where it is done."""
        done = self.states[self.shown].state == "done"
        if done and self.shown + 1 < len(STEPS):
            self.shown += 1
        self.start()

    def repeat(self) -> None:
        """Do the step that is shown again; those after it are then to be done again."""
        self.start()

    def cancel(self) -> None:
        """Ask the step to stop; pressed again, end it at once."""
        self.run.cancel()
        self.parts.cancel.setText("End now")

    def start(self) -> None:
        """Start the step that is shown."""
        if self.run.running:
            return
        step, config = STEPS[self.shown], self.config
        try:
            keep_settings(config)
            settings = step.settings(config)
        except (NeuropretrainError, OSError) as error:
            self._say_problem(str(error))
            return
        self._set_state("running")
        self._begin()
        self.run.start(step.job, settings, PAGES[step.name].title)

    def show_step(self, number: int) -> None:
        """Show a step: its words, and what it left if it is done."""
        self.shown = number
        step, state = STEPS[number], self.states[number]
        page = PAGES[step.name]
        self.parts.show_page(number, page, [one.state for one in self.states])
        self.parts.panel.reset()
        self.parts.panel.take(state.events)
        self.parts.panel.rest()
        self.parts.show_seen(None)
        self._offer()
        if state.state == "done":
            self._look()

    def _begin(self) -> None:
        page = PAGES[STEPS[self.shown].name]
        self.parts.show_page(self.shown, page, [one.state for one in self.states])
        self.parts.show_seen(None)
        self.parts.panel.reset()
        self.parts.panel.busy()
        self.parts.panel.state.setText("Starting")
        self.parts.show_run(True)
        self._offer(running=True)

    def _take(self, update: Update) -> None:
        self.parts.panel.state.setText(update.state)
        self.parts.panel.take(update.events)

    def _end(self, ending: Ending) -> None:
        self.parts.panel.rest()
        self.states = read_steps(self.parts.folder())
        if ending.state == "finished" and self.states[self.shown].state == "done":
            self.show_step(self.shown)
        else:
            self._set_state(ending.state)
            self.parts.panel.state.setText("")
            self._say_problem(self._say_ending(ending))
        self.stepped.emit(ending)

    def _say_ending(self, ending: Ending) -> str:
        if ending.state == "stopped":
            return "Stopped. What was finished is kept: press Next to go on."
        return f"This step did not end well. {ending.sentence}"

    def _look(self) -> None:
        self._loads += 1
        self.parts.say("Reading what this step left…")
        name = STEPS[self.shown].name
        given = (self._loads, name, self.config)
        worker = create_worker(_look_numbered, *given, _ignore_errors=True)
        worker.returned.connect(self._show)
        worker.errored.connect(self._not_shown)
        worker.start()

    def _show(self, numbered: tuple[int, Seen]) -> None:
        load, seen = numbered
        if load != self._loads or self.run.running:
            return  # another step was chosen meanwhile
        if seen.layers:
            # What a person opened besides stays.
            for layer in self._added:
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            self._added = view.add_layers(self._viewer, seen.layers)
        self.parts.show_seen(seen)
        self.parts.say("")
        if self.shown + 1 == len(STEPS):
            self.parts.say(END)
        self.showed.emit(seen)

    def _not_shown(self, error: Exception) -> None:
        self._say_problem(f"What this step left cannot be shown. {error}")

    def _say_problem(self, text: str) -> None:
        self.parts.say(text, wrong=True)
        self._offer()

    def _set_state(self, state: str) -> None:
        self.states[self.shown] = StepState(state)
        self.parts.steps.show_states([one.state for one in self.states], self.shown)

    def _offer(self, running: bool = False) -> None:
        """Enable what can be pressed now, and say what Next would do."""
        state, last = self.states[self.shown].state, self.shown + 1 == len(STEPS)
        number = self.shown + (state == "done" and not last)
        self.parts.offer(
            running,
            PAGES[STEPS[number].name].title,
            finished=state == "done" and last,
            begun=state != "to do",
        )

    def _open_first(self) -> None:
        try:
            self.open_folder(read_settings().project_folder / FOLDER)
        except (OSError, ConfigError, ValueError) as error:
            self._say_problem(f"The folder cannot be read. {error}")


def _look_numbered(load: int, name: str, config: DemoConfig) -> tuple[int, Seen]:
    """Return what a step left, with the number that it was asked for under."""
    return load, look_at(name, config)
