"""The five steps of the guided path, and how far each is."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy, QWidget

_MARKS = {"done": "✓", "running": "…", "to do": " "}
_WORDS = {"to do": "", "done": "done", "running": "runs"}


class StepList(QListWidget):
    """One line a step; those that were begun can be looked at again."""

    chosen = Signal(int)
    """Emitted with the number of a step that a person clicked."""

    def __init__(self, titles: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles = tuple(titles)
        height = self.fontMetrics().height() + 8
        for title in self._titles:
            item = QListWidgetItem(title)
            item.setSizeHint(QSize(0, height))
            self.addItem(item)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(height * len(self._titles) + 2 * self.frameWidth() + 4)
        self.setToolTip("Click a step that is done to look at it again.")
        self.itemClicked.connect(self._tell)

    def show_states(self, states: Sequence[str], shown: int) -> None:
        """Write the state of each step, and mark the one that is shown."""
        for number, (title, state) in enumerate(zip(self._titles, states, strict=True)):
            item = self.item(number)
            if item is None:
                continue
            mark, words = _MARKS.get(state, "!"), _WORDS.get(state, state)
            item.setText(f"{mark}  {number + 1}. {title}{f' · {words}' * bool(words)}")
            flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
            open_to_see = state != "to do" or number == shown
            item.setFlags(flags if open_to_see else Qt.ItemFlag.NoItemFlags)
        self.setCurrentRow(shown)

    def _tell(self, item: QListWidgetItem) -> None:
        self.chosen.emit(self.row(item))
