"""What a person changes in a cohort's table, and how it is undone and saved."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_neuropretrain.data.cohort_edits import CohortEdits
from napari_neuropretrain.errors import CohortError
from napari_neuropretrain.gui.cohort.cohort_panel import CohortPanel


class Editing(QObject):
    """Leaves people out of a cohort, takes changes back, and saves the table.

    Nothing is written before `save`.

    Parameters
    ----------
    panel
        Where the rows are selected, and where it is said what was done.
    """

    changed = Signal()
    """Emitted after each change, and after saving."""

    def __init__(self, panel: CohortPanel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cohort: CohortEdits | None = None
        self._panel = panel

    def exclude(self) -> None:
        """Leave the selected members out, or take all of them in again."""
        chosen = self._panel.selected()
        if self.cohort is None or not chosen:
            self._panel.say("Select the rows to exclude or include.", False)
            return
        wanted = not all(self.cohort.excluded(number) for number in chosen)
        self._exclude(chosen, wanted)

    def exclude_hidden(self) -> None:
        """Leave out everyone whom the filter hides."""
        if self.cohort is not None:
            shown = set(self._panel.model.shown)
            numbers = [one.number for one in self.cohort.members]
            self._exclude([one for one in numbers if one not in shown])

    def undo(self) -> None:
        """Take the last change back."""
        number = self.cohort.undo() if self.cohort is not None else None
        if number is not None:
            self.redraw(number)
            self._panel.select((number,))

    def save(self) -> None:
        """Write the table; say where the old one is kept, or why it cannot be."""
        if self.cohort is None:
            return
        try:
            backup = self.cohort.save()
        except CohortError as error:
            self._panel.say(str(error))
            return
        kept = f" The old one is '{backup.name}'." if backup else ""
        self._panel.say(f"Saved '{self.cohort.overview.table}'.{kept}", False)
        self.changed.emit()

    def redraw(self, number: int) -> None:
        """Draw anew all rows that share the line of a member that was changed."""
        if self.cohort is not None:
            self._panel.model.refresh(self.cohort.sharing(number))
            self.changed.emit()

    def _exclude(self, numbers: Iterable[int], excluded: bool = True) -> None:
        if self.cohort is not None:
            self.cohort.exclude(numbers, excluded)
            self._panel.model.refresh(range(len(self.cohort.members)))
            self.changed.emit()
