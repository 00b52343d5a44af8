"""One map after another over the same scan, by hand or by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QListWidget,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.explanation.places import is_check, space_of, unit_of
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.jobs.job_layout import wide_button
from napari_neuropretrain.gui.scans.layers import look_of, occlusion_layers, set_look

if TYPE_CHECKING:
    from napari.components import ViewerModel

_HELP = "Maps of several models, shown one after another over the same scan."


class CinePanel(QWidget):
    """The maps that lie in one space, and which of them is shown."""

    folder_asked = Signal()
    """Emitted when maps of a folder are wanted."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._maps: list[Image] = []
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._next)
        self.list = QListWidget()
        self.list.setMinimumHeight(80)
        self.list.currentRowChanged.connect(self.show_map)
        self.back = wide_button("◂ Back", self._back, "Show the map before.")
        self.play = wide_button("Play", self.toggle, "Show one map after the other.")
        self.forward = wide_button("Next ▸", self._next, "Show the next map.")
        self.speed = QDoubleSpinBox()
        self.speed.setRange(0.2, 10)
        self.speed.setDecimals(1)
        self.speed.setSingleStep(0.5)
        self.speed.setValue(1)
        self.speed.setSuffix(" maps a second")
        self.speed.setToolTip("How fast they follow each other.")
        self.speed.valueChanged.connect(self._pace)
        self.alike = QCheckBox("Same ranges for every map")
        self.alike.setToolTip("Draw the next map as this one, where the unit is equal.")
        self.alike.setChecked(True)
        self.add = wide_button("Add maps of a folder…", self.folder_asked.emit)
        self.add.setToolTip("Maps of the same scan, for example of several models.")
        self.note = WrappedLabel(_HELP)
        self._lay_out()
        self.refresh()

    @property
    def maps(self) -> list[Image]:
        """The maps that are listed."""
        return list(self._maps)

    @property
    def playing(self) -> bool:
        """Whether it goes on by itself."""
        return self._timer.isActive()

    def refresh(self, shown: Image | None = None) -> None:
        """List the maps in the space of the one that is shown."""
        every = occlusion_layers(self._viewer)
        maps = [one for one in every if isinstance(one, Image) and not is_check(one)]
        if shown is not None:
            maps = [one for one in maps if space_of(one) == space_of(shown)]
        names = [one.name for one in maps]
        listed = [self.list.item(row) for row in range(self.list.count())]
        self.list.blockSignals(True)
        if maps != self._maps or names != [one.text() for one in listed if one]:
            self._maps = maps
            self.list.clear()
            self.list.addItems(names)
        if shown in maps:
            self.list.setCurrentRow(maps.index(shown))
        self.list.blockSignals(False)
        several = len(maps) > 1
        for button in (self.back, self.play, self.forward):
            button.setEnabled(several)
        if not several:
            self.stop()

    def show_map(self, row: int) -> None:
        """Show one map of the list, and hide the others."""
        if not 0 <= row < len(self._maps):
            return
        chosen, before = self._maps[row], self._seen()
        if before is not None and before is not chosen:
            self._draw_alike(chosen, before)
        chosen.visible = True
        for layer in self._maps:
            if layer is not chosen:
                layer.visible = False
        self._viewer.layers.selection.active = chosen

    def toggle(self) -> None:
        """Play, or pause."""
        if self.playing:
            self.stop()
        elif len(self._maps) > 1:
            self._timer.start(self._pause_ms())
            self.play.setText("Pause")

    def stop(self) -> None:
        """Stay at the map that is shown."""
        self._timer.stop()
        self.play.setText("Play")

    def _next(self) -> None:
        self._step(1)

    def _back(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        if self._maps:
            self.list.setCurrentRow((self.list.currentRow() + by) % len(self._maps))

    def _pace(self, speed: float) -> None:
        if self.playing:
            self._timer.start(self._pause_ms())

    def _pause_ms(self) -> int:
        return round(1000 / self.speed.value())

    def _seen(self) -> Image | None:
        """Return the map that is selected, else a visible one."""
        active = self._viewer.layers.selection.active
        if isinstance(active, Image) and active in self._maps:
            return active
        return next((one for one in self._maps if one.visible), None)

    def _draw_alike(self, chosen: Image, before: Image) -> None:
        if self.alike.isChecked() and unit_of(chosen) == unit_of(before):
            set_look(chosen, look_of(before))
            chosen.opacity = before.opacity

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.addWidget(self.back, 0, 0)
        grid.addWidget(self.play, 0, 1)
        grid.addWidget(self.forward, 0, 2)
        grid.addWidget(QLabel("Speed"), 1, 0)
        grid.addWidget(self.speed, 1, 1, 1, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self.note)
        column.addWidget(self.list, 1)
        column.addLayout(grid)
        column.addWidget(self.alike)
        column.addWidget(self.add)
