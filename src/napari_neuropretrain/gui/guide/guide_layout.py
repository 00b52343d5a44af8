"""How the guided path looks: steps above, one page below, one button to press."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import (  # type: ignore[attr-defined, unused-ignore]
    QObject,
    Qt,
    Signal,
)
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.demo.steps import STEPS
from napari_neuropretrain.gui.forms.choice_field import Explanation, side_button
from napari_neuropretrain.gui.forms.choose_path import choose_path
from napari_neuropretrain.gui.forms.panel_keys import CANCEL, START, press_with
from napari_neuropretrain.gui.forms.sentence import Sentence
from napari_neuropretrain.gui.forms.tab_order import tab_through
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.guide.pages import INTRODUCTION, PAGES, Page
from napari_neuropretrain.gui.guide.seen import Seen
from napari_neuropretrain.gui.guide.step_list import StepList
from napari_neuropretrain.gui.jobs.job_layout import button_row, wide_button
from napari_neuropretrain.gui.prediction.prediction_card import PredictionCards
from napari_neuropretrain.gui.prediction.words import people_of
from napari_neuropretrain.gui.runs.run_panel import RunPanel

_CURVES_HEIGHT = 200


class GuideParts(QObject):
    """The parts of the guided path, and what they show."""

    folder_chosen = Signal(object)
    """Emitted with the folder that a person typed or chose."""

    def __init__(self) -> None:
        super().__init__()
        self.introduction = WrappedLabel(INTRODUCTION)
        self._folder = QLineEdit()
        self._folder.setToolTip("Everything of this path is kept here; go on any time.")
        self._folder.editingFinished.connect(self._tell_folder)
        self.choose = side_button("Folder…", "Another folder for the path.")
        self.choose.clicked.connect(self._ask_folder)
        self.steps = StepList([PAGES[step.name].title for step in STEPS])
        self.title = QLabel()
        self.title.setStyleSheet("QLabel { font-size: 15px; font-weight: bold; }")
        self.words, self.panel_words = WrappedLabel(), Explanation()
        self.next = wide_button("Next", _nothing, "Do the step that it names.")
        self.repeat = wide_button(
            "Repeat this step",
            _nothing,
            "Do it again; those after it are then to be done again, too.",
        )
        self.cancel = wide_button(
            "Cancel",
            _nothing,
            "Stop the step; what was finished is kept. Press again to end it now.",
        )
        self.message = Sentence()
        self.panel = RunPanel()
        self.happened = WrappedLabel()
        self.layers = WrappedLabel()
        self.cards = PredictionCards()
        self.panel.curves.setMinimumHeight(_CURVES_HEIGHT)

    def folder(self) -> Path:
        """Return the folder that is filled in."""
        return Path(self._folder.text().strip()).expanduser()

    def fill_folder(self, folder: Path) -> None:
        """Show a folder without telling of it."""
        self._folder.setText(str(folder))

    def folder_row(self) -> QHBoxLayout:
        """Return the line of the folder."""
        row = QHBoxLayout()
        row.addWidget(QLabel("Folder"))
        row.addWidget(self._folder, 1)
        row.addWidget(self.choose)
        return row

    def show_page(self, number: int, page: Page, states: Sequence[str]) -> None:
        """Show the words of a step."""
        self.steps.show_states(states, number)
        self.title.setText(f"{number + 1}. {page.title}")
        self.words.setText(page.words)
        command = page.panel.startswith("neuropretrain")
        where = f"the command {page.panel}" if command else f"the panel {page.panel}"
        self.panel_words.setText(f"The same job: {where}.")
        self.say("")
        done = states[number] == "done"
        shown = states[number] != "to do" and (not done or page.curves)
        self.show_run(shown, ended=done)

    def show_run(self, shown: bool, ended: bool = False) -> None:
        """Show or hide progress, curves and log; of a run that ended only curves."""
        self.panel.setVisible(shown)
        for part in (self.panel.state, self.panel.bar, self.panel.log):
            part.setVisible(not ended)

    def show_seen(self, seen: Seen | None) -> None:
        """Show what happened in a step, and what its layers are."""
        sentences = seen.sentences if seen else []
        self.happened.setText("\n".join(sentences))
        self.happened.setVisible(bool(sentences))
        meanings = seen.meanings if seen else {}
        lines = [f"•  {name}: {words}" for name, words in meanings.items()]
        self.layers.setText("\n".join(["What you see:", *lines]) if lines else "")
        self.layers.setVisible(bool(lines))
        self.cards.clear()
        if seen and seen.report:
            for participant in people_of(seen.report)[:1]:
                self.cards.show_scan(seen.report, participant)
        self.cards.setVisible(bool(seen and seen.report))

    def offer(self, running: bool, title: str, finished: bool, begun: bool) -> None:
        """Enable the buttons; Next says what it would do."""
        self.next.setText("Finished" if finished else f"Next: {title.lower()}")
        self.next.setEnabled(not running and not finished)
        self.repeat.setEnabled(not running and begun)
        self.cancel.setEnabled(running)
        self.cancel.setText("Cancel")
        for widget in (self._folder, self.choose, self.steps):
            widget.setEnabled(not running)

    def say(self, text: str, wrong: bool = False) -> None:
        """Show a sentence under the buttons."""
        self.message.say(text, "wrong" if wrong else "plain")

    def _tell_folder(self) -> None:
        if self._folder.text().strip():
            self.folder_chosen.emit(self.folder())

    def _ask_folder(self, checked: bool = False) -> None:
        start = str(self.folder())
        title = "Choose a folder"
        choose_path(self.steps, title, "folder", self._take_folder, start)

    def _take_folder(self, folder: Path) -> None:
        self.fill_folder(folder)
        self._tell_folder()


def lay_out_guide(widget: QWidget, parts: GuideParts, controls: QWidget) -> None:
    """Arrange the parts and the controls of the view in `widget`; the page scrolls."""
    page = QWidget()
    column = QVBoxLayout(page)
    column.addWidget(parts.introduction)
    column.addLayout(parts.folder_row())
    column.addWidget(parts.steps)
    above: tuple[QWidget, ...] = (parts.title, parts.words, parts.panel_words)
    for part in (*above, parts.next):
        column.addWidget(part)
    column.addLayout(button_row(parts.repeat, parts.cancel))
    below: tuple[QWidget, ...] = (parts.message, parts.happened, parts.layers)
    for part in (*below, controls, parts.cards):
        column.addWidget(part)
    column.addWidget(parts.panel, 1)
    column.addStretch(0)
    scroll = QScrollArea()
    scroll.setWidget(page)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    tab_through(page)
    outer = QVBoxLayout(widget)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(scroll)
    press_with(START, parts.next, widget)
    press_with(CANCEL, parts.cancel, widget)
    # The bar of the page must not lie on its right edge.
    bar = scroll.verticalScrollBar()
    extent = bar.sizeHint().width() if bar is not None else 0
    widget.setMinimumWidth(max(400, page.minimumSizeHint().width() + extent))


def _nothing() -> None:
    """Wait for the widget to say what a button does."""
