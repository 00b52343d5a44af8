"""The buttons of a job and their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication, QPushButton

from napari_neuropretrain.gui.forms import panel_keys
from napari_neuropretrain.gui.forms.panel_keys import press_with
from napari_neuropretrain.gui.jobs.job_layout import wide_button

if TYPE_CHECKING:
    from napari_neuropretrain.gui.jobs.job_widget import JobWidget


def job_buttons(
    widget: JobWidget,
) -> tuple[QPushButton, QPushButton, QPushButton, QPushButton]:
    """Make Start, Cancel, Follow run and Copy as command."""
    tip = "Run the job with these settings, in a process of its own."
    start = wide_button("Start", widget.start, tip)
    tip = "Stop it; what was finished is kept. Press again to end it now."
    cancel = wide_button("Cancel", widget.cancel, tip)
    follow = wide_button("", widget.follow_or_leave)
    name_follow(follow, False)
    tip = "Copy the command line that does the same."
    copy = wide_button("Copy as command", widget.copy_command, tip)
    return start, cancel, follow, copy


def name_follow(button: QPushButton, running: bool) -> None:
    """Let Follow run be Leave run while a run is shown."""
    words = {
        False: (
            "Follow run",
            "Show the run of the output folder: one that still goes on, or has ended.",
        ),
        True: (
            "Leave run",
            "Let it go on by itself, and free the form for another one, which queues. "
            "The panel Runs lists both.",
        ),
    }
    text, tip = words[running]
    button.setText(text)
    button.setToolTip(tip)


def add_keys(widget: JobWidget) -> None:
    """Let keys press the buttons, those of a running job too."""
    press_with(panel_keys.START, widget.start_button, widget)
    press_with(panel_keys.CANCEL, widget.cancel_button, widget)
    press_with(panel_keys.COPY, widget.copy_button, widget)
    press_with(panel_keys.PAUSE, widget.live.pause, widget)
    press_with(panel_keys.KEEP_BEST, widget.live.keep_best, widget)


def keep_focus(widget: JobWidget, running: bool) -> None:
    """Hand the focus on from what cannot be used now, so that keys still count."""
    has = QApplication.focusWidget()
    if has is None:
        return
    if running and (widget.form.isAncestorOf(has) or has is widget.start_button):
        widget.cancel_button.setFocus()
    elif not running and has is widget.cancel_button:
        widget.start_button.setFocus()
