"""What to write of a map."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.jobs.job_layout import wide_button

NIFTI, PANEL, PAGE = "nifti", "panel", "page"
SUFFIXES = {NIFTI: ".nii.gz", PANEL: ".png", PAGE: ".html"}
_HELP = "The map that is shown is written, in the space it is shown in."
_BUTTONS = {
    NIFTI: ("Map as NIfTI…", "For other programs; on the grid that is shown."),
    PANEL: (
        "Slices as PNG…",
        "Axial, coronal and sagittal slices through the crosshair, a row for each map.",
    ),
    PAGE: (
        "Page as HTML…",
        "The report of the run, or a page with slices, clusters and checks.",
    ),
}


class ExportPanel(QWidget):
    """Buttons for files; it knows no viewer."""

    asked = Signal(str)
    """Emitted with `NIFTI`, `PANEL` or `PAGE`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.clipped = QCheckBox("Only what is drawn; 0 elsewhere")
        self.clipped.setToolTip("What lies outside the clipping range becomes 0.")
        self.rows = QComboBox()
        self.rows.addItems(("This map", "Every map listed under Cine"))
        self.rows.setToolTip("Whose slices are drawn, one row for each map.")
        self.rows.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.rows.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.buttons = {
            kind: wide_button(text, self._asker(kind), tip)
            for kind, (text, tip) in _BUTTONS.items()
        }
        self.said = WrappedLabel()
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Rows of slices", self.rows)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(WrappedLabel(_HELP))
        column.addWidget(self.buttons[NIFTI])
        column.addWidget(self.clipped)
        column.addLayout(form)
        column.addWidget(self.buttons[PANEL])
        column.addWidget(self.buttons[PAGE])
        column.addWidget(self.said)
        column.addStretch(1)
        self.offer(False)

    def offer(self, known: bool) -> None:
        """Let people press the buttons where there is a map."""
        for button in self.buttons.values():
            button.setEnabled(known)

    @property
    def every_map(self) -> bool:
        """Whether each map of the list gets a row."""
        return self.rows.currentIndex() == 1

    def _asker(self, kind: str) -> object:
        def ask() -> None:
            self.asked.emit(kind)

        return ask
