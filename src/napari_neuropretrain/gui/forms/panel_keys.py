"""Keys of a panel: they press its buttons while the focus is in it."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtGui import (  # type: ignore[attr-defined, unused-ignore]
    QKeySequence,
    QShortcut,
)
from qtpy.QtWidgets import QAbstractButton, QWidget

START, CANCEL, PAUSE = "Ctrl+Return", "Ctrl+Shift+K", "Ctrl+Shift+H"
KEEP_BEST, COPY, AGAIN = "Ctrl+Shift+B", "Ctrl+Shift+C", "Ctrl+Shift+R"
"""The same in every panel, and free in napari: of a key that two have, Qt presses none.
Not Ctrl+Alt, which is AltGr on Windows: people write letters with it."""


def press_with(keys: str, button: QAbstractButton, panel: QWidget) -> None:
    """Let keys press a button, and name them in its tooltip.

    Parameters
    ----------
    keys
        Such as ``"Ctrl+Return"``; Ctrl is Command on macOS.
    button
        Pressed only where it is shown and can be pressed.
    panel
        The keys count while the focus is in it, so that two panels may share them.
    """
    sequence = QKeySequence(keys)
    shortcut = QShortcut(sequence, panel)
    shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    shortcut.activated.connect(partial(_press, button))
    written = sequence.toString(QKeySequence.SequenceFormat.NativeText)
    button.setToolTip(f"{button.toolTip()} ({written})".strip())


def _press(button: QAbstractButton) -> None:
    if button.isVisible():
        button.click()
