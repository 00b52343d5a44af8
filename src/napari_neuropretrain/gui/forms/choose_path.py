"""Ask for a file or a folder, in a window that blocks nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_neuropretrain.gui.settings import read_settings


def choose_path(
    parent: QWidget,
    title: str,
    kind: Literal["file", "folder", "save"],
    chosen: Callable[[Path], None],
    start: str = "",
    names: str = "",
) -> QFileDialog:
    """Show a file dialog beside the viewer, and return at once.

    Parameters
    ----------
    parent
        Above whose window it is shown.
    title
        Of the dialog.
    kind
        What can be chosen; ``"save"`` is a file that need not be there yet.
    chosen
        Called with the path once one was chosen.
    start
        Where it begins; the data folder of the settings if empty or not there. For
        ``"save"``, the name that is proposed.
    names
        Files that are offered, such as ``"Tables (*.tsv *.csv)"``.

    Returns
    -------
    QFileDialog
        It deletes itself when it is closed.
    """
    begin = _start("" if kind == "save" else start)
    dialog = QFileDialog(parent, title, str(begin), names)
    modes = QFileDialog.FileMode
    if kind == "folder":
        dialog.setFileMode(modes.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
    elif kind == "file":
        dialog.setFileMode(modes.ExistingFile)
    else:
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(modes.AnyFile)
        dialog.selectFile(start)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setModal(False)
    dialog.fileSelected.connect(lambda path: chosen(Path(path)))
    dialog.show()
    return dialog


def _start(text: str) -> Path:
    """Return the nearest folder that there is."""
    if text.strip():
        path = Path(text.strip()).expanduser()
        for place in (path, *path.parents):
            if place.is_dir() and place != Path():
                return place
    return read_settings().data_folder or Path.home()
