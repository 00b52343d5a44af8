"""The list of problems of a cohort: what is wrong, and below it what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_neuropretrain.data.problems import SEVERITIES, Problem, Severity, count

SEVERITY_COLORS: dict[Severity, str] = {
    "error": "#e0604c",
    "warning": "#e0a63c",
    "note": "#6f9fd8",
}
_MOST = 200


class ProblemList(QListWidget):
    """Problems, the worst first; a click picks whom one concerns."""

    picked = Signal(object)
    """Emitted with a tuple of members."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.problems: tuple[Problem, ...] = ()
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSpacing(2)
        self.setToolTip("Click a problem to select whom it concerns.")
        self.itemClicked.connect(self._pick)
        self.itemActivated.connect(self._pick)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """List problems; the one that was selected stays so, if it is still there."""
        if tuple(problems) == self.problems:
            return
        chosen = self.currentItem()
        kept = chosen.text() if chosen is not None else ""
        self.problems = tuple(problems)
        self.clear()
        for one in self.problems[:_MOST]:
            item = QListWidgetItem(_icon(one.severity), f"{one.text}\n→ {one.advice}")
            item.setToolTip(f"{one.severity}: {one.kind}")
            self.addItem(item)
            if item.text() == kept:
                self.setCurrentItem(item)
        if (more := len(self.problems) - _MOST) > 0:
            self.addItem(f"and {more} more: neuropretrain check-cohort lists all.")

    def summary(self) -> str:
        """Return how many there are of each severity."""
        counts = Counter(one.severity for one in self.problems)
        said = [count(counts[one], one) for one in SEVERITIES if counts[one]]
        return ", ".join(said)

    def _pick(self, item: QListWidgetItem) -> None:
        row = self.row(item)
        if row < len(self.problems):
            self.picked.emit(self.problems[row].numbers)


def _icon(severity: Severity) -> QIcon:
    square = QPixmap(12, 12)
    square.fill(QColor(SEVERITY_COLORS[severity]))
    return QIcon(square)
