"""A sentence in the colour of what it says: something is wrong, a doubt, or good."""

from __future__ import annotations

from typing import Literal, TypeAlias

from qtpy.QtCore import QEvent, Qt

from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel

Tone: TypeAlias = Literal["plain", "wrong", "doubt", "good"]
ON_DARK: dict[Tone, str] = {
    "wrong": "#ff8c78",
    "doubt": "#f0b94a",
    "good": "#5fc58f",
}
ON_LIGHT: dict[Tone, str] = {
    "wrong": "#b3261e",
    "doubt": "#875400",
    "good": "#1b6e45",
}
"""No one red, amber or green can be read on both: each has a contrast of 5 to 1."""
_RECOLOUR = (
    QEvent.Type.Polish,
    QEvent.Type.Show,
    QEvent.Type.StyleChange,
    QEvent.Type.PaletteChange,
)
_NAME = "sentence"


class Sentence(WrappedLabel):
    """Words that may be coloured, in a colour that can be read in napari's theme.

    Parameters
    ----------
    tone
        Of all its words, until `say` is told another.
    """

    def __init__(self, tone: Tone = "plain") -> None:
        super().__init__()
        self.tone: Tone = tone
        # Not a rule for every label: it would colour its tooltip, too.
        self.setObjectName(_NAME)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Show `text` in a tone; hide where there is none."""
        self.tone = tone
        self._colour()
        self.setText(text)
        self.setVisible(bool(text))

    def event(self, event: QEvent | None) -> bool:
        """Take the colour of another theme."""
        done = super().event(event)
        if event is not None and event.type() in _RECOLOUR:
            self._colour()
        return done

    def _colour(self) -> None:
        # Its own palette has the colour that it was given before.
        above = self.parentWidget() or self
        light = above.palette().windowText().color().lightness() < 128
        color = (ON_LIGHT if light else ON_DARK).get(self.tone, "")
        sheet = f"QLabel#{_NAME} {{ color: {color}; }}" if color else ""
        if sheet != self.styleSheet():
            self.setStyleSheet(sheet)
