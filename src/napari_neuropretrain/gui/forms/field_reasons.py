"""What is wrong with a field, written under it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from magicgui.widgets import FileEdit
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_neuropretrain.gui.forms.field_widgets import FieldWidget
from napari_neuropretrain.gui.forms.fold import Fold
from napari_neuropretrain.gui.forms.sentence import Sentence

_NEEDED = "needed to start"


class FieldReasons:
    """Writes under fields why they are not right.

    Parameters
    ----------
    layouts
        Of the fields.
    fold
        What the last layout is folded into, or None; it opens for a reason.
    """

    def __init__(self, layouts: Sequence[QFormLayout], fold: Fold | None) -> None:
        self._layouts, self._fold = layouts, fold
        self.labels: dict[str, Sentence] = {}

    def show(self, rows: Mapping[str, QWidget], reasons: Mapping[str, str]) -> None:
        """Write reasons under the rows of their fields, and nothing under others."""
        for name in self.labels.keys() - reasons.keys():
            self.labels[name].hide()
        for name, reason in reasons.items():
            if name in rows:
                label = self._label(name, rows[name])
                label.setText(reason)
                label.show()

    def _label(self, name: str, row: QWidget) -> Sentence:
        if name not in self.labels:
            label = Sentence("wrong")
            self.labels[name] = label
            for layout in self._layouts:
                place = layout.indexOf(row)
                if place >= 0:
                    layout.insertRow(layout.getWidgetPosition(row)[0] + 1, "", label)
        if self._fold is not None and self._layouts[-1].indexOf(row) >= 0:
            self._fold.expand()
        return self.labels[name]


def say_needed(widgets: Mapping[str, FieldWidget], needed: Collection[str]) -> None:
    """Write into the empty lines of paths whether they must be filled in."""
    for name, widget in widgets.items():
        if not isinstance(widget, FileEdit):
            continue
        line = widget.line_edit.native
        if name in needed:
            line.setPlaceholderText(_NEEDED)
        elif line.placeholderText() == _NEEDED:
            line.setPlaceholderText("")
