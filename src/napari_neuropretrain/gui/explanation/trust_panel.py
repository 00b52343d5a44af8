"""Doubts, checks and the deletion curve of a map; the randomised network's map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_neuropretrain.gui.explanation.deletion_plot import DeletionPlot
from napari_neuropretrain.gui.explanation.trust import trust_sentences, verdict
from napari_neuropretrain.gui.forms.sentence import Sentence
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.jobs.job_layout import wide_button

_OTHER, _BACK = "Show the randomised network's map", "Back to the map"


class TrustPanel(QWidget):
    """What speaks for and against a map; it knows no viewer."""

    random_asked = Signal(bool)
    """Emitted when the randomised network's map, or the map itself, is wanted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.verdict, self.words = Sentence(), WrappedLabel()
        self.plot = DeletionPlot()
        self._random_shown = False
        self.random = wide_button(_OTHER, self._ask)
        self.random.setToolTip(
            "The same map for the same network with shuffled weights. If it looks "
            "alike, the map says nothing about what was learned."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        for part in (self.verdict, self.words, self.plot, self.random):
            column.addWidget(part)
        column.addStretch(1)
        self.show_trust({})
        self.offer_random(False, False)

    def show_trust(self, explanation: Mapping[str, Any]) -> None:
        """Show what is known about a map."""
        words, doubted = verdict(explanation)
        self.verdict.say(words, "wrong" if doubted else "good")
        self.words.setText("\n\n".join(trust_sentences(explanation)))
        self.plot.show_deletion(explanation)

    def offer_random(self, known: bool, shown: bool) -> None:
        """Say whether there is a randomised network's map, and whether it is shown."""
        self._random_shown = shown
        self.random.setEnabled(known or shown)
        self.random.setText(_BACK if shown else _OTHER)

    def _ask(self) -> None:
        self.random_asked.emit(not self._random_shown)
