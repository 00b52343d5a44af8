"""How the panel of an explanation is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.explanation.cine import CinePanel
from napari_neuropretrain.gui.explanation.cluster_table import ClusterTable
from napari_neuropretrain.gui.explanation.export_panel import ExportPanel
from napari_neuropretrain.gui.explanation.long_choice import LongChoice
from napari_neuropretrain.gui.explanation.look_panel import LookPanel
from napari_neuropretrain.gui.explanation.places import OWN, TEMPLATE
from napari_neuropretrain.gui.explanation.regions_button import RegionsButton
from napari_neuropretrain.gui.explanation.trust_panel import TrustPanel
from napari_neuropretrain.gui.forms.sentence import Sentence
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel

if TYPE_CHECKING:
    from napari.components import ViewerModel

_NO_MAP = "Open an occlusion map, or run Explain."
_LEAST_TABS = 260
"""Below this height, in pixels, the panel scrolls."""
_HEIGHT = 760
_SPACES = ("Template (MNI152)", "The scan's own")


class Parts:
    """The parts of the panel, in a column on `panel`."""

    def __init__(self, panel: QWidget, viewer: ViewerModel) -> None:
        self.map, self.space = LongChoice(), LongChoice()
        self.map.setToolTip("Which of the maps in the viewer this panel is about.")
        self.space.addItems(_SPACES)
        self.space.setToolTip("Show the map on the template, or on the scan itself.")
        self.look = LookPanel()
        self.crosshair, self.mouse = WrappedLabel(), WrappedLabel()
        self.regions = RegionsButton()
        self.clusters, self.trust = ClusterTable(), TrustPanel()
        self.cine, self.export = CinePanel(viewer), ExportPanel()
        self.problem = Sentence()
        self.problem.say(_NO_MAP)
        self.tabs = QTabWidget()
        self.tabs.setMinimumHeight(_LEAST_TABS)
        for name, part in (
            ("Clusters", self.clusters),
            ("Trust", self.trust),
            ("Cine", self.cine),
            ("Export", self.export),
        ):
            self.tabs.addTab(_Column(part, _LEAST_TABS), name)
        self._lay_out(panel)

    def list_maps(self, maps: Sequence[Layer], shown: Layer | None) -> None:
        """Fill in which maps there are."""
        names = [one.name for one in maps]
        if names != [self.map.itemText(row) for row in range(self.map.count())]:
            self.map.clear()
            self.map.addItems(names)
        if shown is not None and shown in maps:
            self.map.setCurrentIndex(list(maps).index(shown))
            self.map.setToolTip(shown.name)

    def offer(self, known: bool) -> None:
        """Let people use what needs a map; without one say where it comes from."""
        for part in (self.map, self.space, self.look):
            part.setEnabled(known)
        self.export.offer(known)
        if not known:
            self.say(_NO_MAP)
            self.crosshair.setText("")
            self.mouse.setText("")
        elif self.problem.text() == _NO_MAP:
            self.say("")

    def offer_spaces(self, template: bool, own: bool, shown: str) -> None:
        """Say in which spaces there is a map, and which is shown."""
        self.space.setEnabled(template and own)
        if shown:
            self.space.setCurrentIndex((TEMPLATE, OWN).index(shown))

    def say(self, text: str, wrong: bool = False) -> None:
        """Show a sentence, or none."""
        self.problem.say(text, "wrong" if wrong else "plain")

    def _lay_out(self, panel: QWidget) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Map", self.map)
        form.addRow("Space", self.space)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.addLayout(form)
        column.addWidget(self.look)
        column.addWidget(self.crosshair)
        column.addWidget(self.mouse)
        column.addWidget(self.regions)
        column.addWidget(self.problem)
        column.addWidget(self.tabs, 1)
        outer = QVBoxLayout(panel)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(_Column(inner, _HEIGHT))


class _Column(QScrollArea):
    """Scrolls up and down only, and so is as wide as its contents need."""

    def __init__(self, inner: QWidget, height: int) -> None:
        super().__init__()
        self._height = height
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """Return the width of the contents and the bar."""
        inner, bar = self.widget(), self.verticalScrollBar()
        wide = 0 if inner is None else inner.minimumSizeHint().width()
        wide += 0 if bar is None else bar.sizeHint().width()
        return QSize(wide, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """Return a size that shows most."""
        return QSize(max(380, self.minimumSizeHint().width()), self._height)
