"""How the dock widget of a job is laid out: the form above, the run below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.forms.tab_order import tab_through

if TYPE_CHECKING:
    from napari_neuropretrain.gui.jobs.job_widget import JobWidget

_LEAST_FORM = 140
"""Height of the form below which it is not made smaller, in pixels."""
_GROWTH = (QEvent.Type.LayoutRequest, QEvent.Type.Resize)


def lay_out(widget: JobWidget, help_text: str) -> QVBoxLayout:
    """Arrange the parts of `widget`; return the column of its lower half."""
    buttons = QGridLayout()
    buttons.addWidget(widget.start_button, 0, 0)
    buttons.addWidget(widget.cancel_button, 0, 1)
    buttons.addWidget(widget.follow_button, 1, 0)
    buttons.addWidget(widget.copy_button, 1, 1)
    buttons.addWidget(widget.live, 2, 0, 1, 2)
    bottom = QVBoxLayout()
    bottom.addWidget(widget.problem)
    bottom.addLayout(buttons)
    bottom.addWidget(widget.panel, 1)
    split = QSplitter(Qt.Orientation.Vertical)
    split.addWidget(_scrolled(widget.form, help_text))
    split.addWidget(Lower(bottom, split))
    split.setChildrenCollapsible(False)
    outer = QVBoxLayout(widget)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(split)
    widget.setMinimumWidth(340)
    return bottom


class Lower(QWidget):
    """The lower part of a splitter, which is as high as its contents need.

    A splitter does not ask wrapped labels how high they are at its width, and would
    draw what is below them on top of each other.

    Parameters
    ----------
    column
        Its contents.
    split
        Where it is the second of two.
    """

    def __init__(self, column: QVBoxLayout, split: QSplitter) -> None:
        super().__init__()
        self.setLayout(column)
        self._column, self._split = column, split

    def event(self, event: QEvent | None) -> bool:
        """Take room from the upper part where the contents have grown."""
        done = super().event(event)
        if event is not None and event.type() in _GROWTH:
            self._take_room()
        elif event is not None and event.type() == QEvent.Type.Show:
            tab_through(self)  # some parts were put in later
        return done

    def _take_room(self) -> None:
        column, width = self._column, self.width()
        needed = max(column.heightForWidth(width), column.minimumHeightForWidth(width))
        upper, own = self._split.sizes()
        if 0 < own < needed and upper > _LEAST_FORM:
            kept = max(_LEAST_FORM, upper + own - needed)
            self._split.setSizes([kept, upper + own - kept])


def wide_button(text: str, slot: Any, tip: str = "") -> QPushButton:
    """Make a button that takes the width it is given."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    button.clicked.connect(lambda checked=False: slot())
    return button


def button_row(*buttons: QWidget) -> QHBoxLayout:
    """Put widgets side by side, without a margin."""
    row = QHBoxLayout()
    for button in buttons:
        row.addWidget(button)
    return row


def _scrolled(form: QWidget, help_text: str) -> QScrollArea:
    help_label = QLabel(help_text)
    help_label.setWordWrap(True)
    top = QWidget()
    column = QVBoxLayout(top)
    column.addWidget(help_label)
    column.addWidget(form)
    column.addStretch(1)
    scroll = QScrollArea()
    scroll.setWidget(top)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return scroll
