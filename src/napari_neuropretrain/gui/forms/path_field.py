"""The field of a path: a line to type in, and buttons to choose with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from napari_neuropretrain.gui.forms.choose_path import choose_path

_LEAST_WIDTH = 90
"""Of a line in which a path can be read at all, in pixels."""


def make_path_widget(default: str, output: bool, options: dict[str, Any]) -> FileEdit:
    """Make the widget of a path; an output is always a folder."""
    edit = FileEdit(mode=FileDialogMode("d" if output else "r"), **options)
    edit.line_edit.value = default
    edit.line_edit.tooltip = options["tooltip"]
    edit.line_edit.native.setMinimumWidth(_LEAST_WIDTH)
    return edit


def path_row(widget: FileEdit) -> QWidget:
    """Return the Qt widget; an input path may be a file or a folder: offer both."""
    native: QWidget = widget.native
    folder_only = widget.mode.value == "d"
    widget.choose_btn.text = "Folder…" if folder_only else "File…"
    files = "Choose a file (an image, a table, or a model)."
    widget.choose_btn.tooltip = "Choose a folder." if folder_only else files
    # In place of magicgui's own dialog, which blocks the viewer.
    kind: Literal["file", "folder"] = "folder" if folder_only else "file"
    widget.choose_btn.changed.disconnect()
    widget.choose_btn.changed.connect(partial(_choose, widget, kind))
    if folder_only:
        return native
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    layout.addWidget(native)
    button = QPushButton("Folder…")
    button.setToolTip("Choose a folder (BIDS, DICOM, images, or a run folder).")
    button.clicked.connect(partial(_choose, widget, "folder"))
    layout.addWidget(button)
    return row


def _choose(
    widget: FileEdit, kind: Literal["file", "folder"], checked: bool = False
) -> None:
    native: QWidget = widget.native

    def take(path: Path) -> None:
        widget.line_edit.value = str(path)

    choose_path(native, f"Choose a {kind}", kind, take, str(widget.line_edit.value))
