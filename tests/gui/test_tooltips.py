"""Every control says what it does; fields say what the command line's help says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from magicgui.widgets import FileEdit
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QScrollBar,
    QTabBar,
    QTableView,
    QWidget,
)

from napari_neuropretrain.cli.flag_texts import flag_of, help_of
from napari_neuropretrain.cli.flags import flag_parser
from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.gui import widgets
from napari_neuropretrain.gui.forms.form import Form
from napari_neuropretrain.gui.jobs.job_widget import JobWidget
from napari_neuropretrain.gui.runs.confirm_strip import ConfirmStrip

CONTROLS = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit, QAbstractSlider)
INSIDE = (QAbstractSpinBox, QComboBox, QLineEdit, QTabBar, QHeaderView, QTableView)
"""Qt makes their parts; the whole has the tooltip."""
JOB_PANELS = {
    "preprocess": "PreprocessWidget",
    "pretrain": "PretrainWidget",
    "finetune": "FinetuneWidget",
    "predict": "PredictWidget",
    "explain": "ExplainWidget",
}


def controls(panel: QWidget) -> Iterator[QWidget]:
    """Yield what people can press, choose or type in, folded away or not."""
    for one in panel.findChildren(QWidget):
        own = isinstance(one, CONTROLS) and not isinstance(one, QScrollBar)
        if own and not isinstance(one.parent(), INSIDE):
            yield one


def describe(control: QWidget) -> str:
    """Return enough to find a control by."""
    text = control.text() if hasattr(control, "text") else ""
    above = type(control.parent()).__name__
    return f"{type(control).__name__} '{text}' {control.objectName()} in {above}"


@pytest.mark.parametrize("name", widgets.__all__)
def test_every_control_has_a_tooltip(qtbot, name):
    panel = getattr(widgets, name)(ViewerModel())
    qtbot.addWidget(panel)
    found = list(controls(panel))
    assert found
    assert [describe(one) for one in found if not one.toolTip().strip()] == []


@pytest.mark.parametrize("job", JOB_PANELS)
def test_fields_say_what_the_help_of_the_command_line_says(qtbot, job):
    panel = getattr(widgets, JOB_PANELS[job])(ViewerModel())
    qtbot.addWidget(panel)
    helps = {one.dest: one.help for one in flag_parser(job, JOBS[job].options)._actions}
    assert len(panel.form.widgets) > 5
    for name, widget in panel.form.widgets.items():
        line = widget.line_edit if isinstance(widget, FileEdit) else widget
        said = line.tooltip
        key = flag_of(name).removeprefix("--").replace("-", "_")
        assert said, name
        assert helps[key].startswith(said.rstrip(".").replace("%", "%%")), name


@pytest.mark.parametrize("job", [entry.name for entry in JOBS])
def test_every_field_of_every_job_has_the_help_as_its_tooltip(qtbot, job):
    options = JOBS[job].options
    form = Form(options)
    qtbot.addWidget(form)
    for name, field in options.model_fields.items():
        own = (*form._rows[name].findChildren(QWidget), form._rows[name])
        assert field.description in {one.toolTip() for one in own}, name
        assert help_of(field).startswith(field.description.rstrip(".")), name


def test_buttons_that_appear_later_say_what_they_do(qtbot):
    strip = ConfirmStrip()
    qtbot.addWidget(strip)
    assert all(one.toolTip() for one in controls(strip))


def test_the_tooltip_of_a_button_names_its_key(qtbot):
    panel = JobWidget("predict", "Predict")
    qtbot.addWidget(panel)
    assert panel.start_button.toolTip().endswith("Return)") or "⌘" in (
        panel.start_button.toolTip()
    )


@pytest.mark.parametrize("name", widgets.__all__)
def test_tab_goes_from_top_to_bottom(qtbot, name):
    panel = getattr(widgets, name)(ViewerModel())
    qtbot.addWidget(panel)
    panel.resize(420, 900)
    panel.show()
    qtbot.waitExposed(panel)
    stops, one = [], panel.nextInFocusChain()
    while one is not panel:
        if (
            panel.isAncestorOf(one)
            and one.isVisible()
            and one.focusPolicy() & Qt.FocusPolicy.TabFocus
            and not isinstance(one.parent(), INSIDE)
        ):
            top_left = one.mapTo(panel, QPoint(0, 0))
            stops.append((top_left.y(), top_left.x(), describe(one)))
        one = one.nextInFocusChain()
    assert stops
    up = [(a, b) for a, b in pairwise(stops) if b[0] < a[0] - 12]
    assert up == []
