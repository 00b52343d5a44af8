"""Which regions give the names, and a menu to choose others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import QPoint, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import QMenu, QPushButton, QSizePolicy, QWidget

FILE, NONE = "Label image…", "None"


class RegionsButton(QPushButton):
    """A button that says what is chosen, and drops a menu; it knows no viewer."""

    file_asked = Signal()
    """Emitted when a label image is to be chosen."""
    atlas_asked = Signal(str)
    """Emitted with the name of an atlas."""
    none_asked = Signal()
    """Emitted when there are to be no regions."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(
            "Where names come from: a label image on the template, or an atlas."
        )
        # Long names of layers do not make the dock wider.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choices = QMenu(self)
        self.clicked.connect(self._drop)
        self.say("")

    def say(self, name: str) -> None:
        """Show the name of the regions, or that there are none."""
        self.setText(f"Regions: {name or 'none'}…")

    def _drop(self) -> None:
        self._fill()
        self.choices.setMinimumWidth(self.width())
        self.choices.popup(self.mapToGlobal(QPoint(0, self.height())))

    def _fill(self) -> None:
        from napari_neuropretrain.explanation.region_atlas import ATLASES

        menu = self.choices
        if menu.isEmpty():
            menu.setToolTipsVisible(True)
            _add(menu, FILE, self.file_asked.emit)
            _add(menu, NONE, self.none_asked.emit)
            menu.addSeparator()
            # A section's title is not drawn in napari's themes.
            if (title := menu.addAction("Atlases, fetched once:")) is not None:
                title.setEnabled(False)
            for name in ATLASES:
                _add(menu, name, partial(self.atlas_asked.emit, name))


def _add(menu: QMenu, text: str, choose: Callable[[], object]) -> None:
    if (action := menu.addAction(text)) is not None:
        action.triggered.connect(lambda checked=False: choose())
