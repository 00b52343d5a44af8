from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_neuropretrain.config.jobs import PreprocessConfig
from napari_neuropretrain.data.volumes import read_volume
from napari_neuropretrain.gui.jobs.preprocess_widget import PreprocessWidget
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import view

pytestmark = pytest.mark.usefixtures("quick_edges")


@pytest.fixture
def widget(qtbot):
    made = PreprocessWidget(ViewerModel())
    qtbot.addWidget(made)
    return made


def text(widget, name):
    return widget.form.widgets[name].line_edit.value


def put(widget, name, value):
    widget.form.widgets[name].line_edit.value = str(value)


def test_a_layer_of_a_file_fills_in_input_and_output(widget, oblique_scan):
    widget.use_layer()
    assert "There is no image layer." in widget.problem.text()
    view.add_layers(widget._napari, read_layers(oblique_scan))
    widget.layer_button.click()
    assert text(widget, "input") == str(oblique_scan)
    assert text(widget, "output") == str(oblique_scan.parent / "neuropretrain")
    assert widget.start_button.isEnabled()


def test_a_suggestion_follows_the_input_and_yields_to_the_person(widget, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        put(widget, "input", tmp_path / name)
        if name == "b":
            assert text(widget, "output") == str(tmp_path / "b" / "neuropretrain")
            put(widget, "output", tmp_path / "mine")
    assert text(widget, "output") == str(tmp_path / "mine")


def test_a_layer_in_memory_is_written_first(qtbot, widget, tmp_path):
    head = np.random.default_rng(0).random((32, 32, 32), dtype=np.float32)
    widget._napari.add_image(head, name="made here", scale=(3, 2, 1))
    put(widget, "output", tmp_path / "out")
    widget.layer_button.click()
    path = tmp_path / "out" / "input" / "made-here_T1w.nii.gz"
    qtbot.waitUntil(lambda: text(widget, "input") == str(path), timeout=20_000)
    volume = read_volume(path)
    assert volume.spacing_mm == pytest.approx((1, 2, 3))
    assert volume.data == pytest.approx(head.transpose(2, 1, 0))
    assert widget.layer_button.isEnabled()


def test_a_layer_that_cannot_be_written_says_so(qtbot, widget, tmp_path):
    (tmp_path / "file").write_text("")
    widget._napari.add_image(np.ones((8, 8, 8), np.float32))
    put(widget, "output", tmp_path / "file")
    widget.layer_button.click()
    problem = widget.problem
    qtbot.waitUntil(lambda: "cannot be written" in problem.text(), timeout=20_000)
    assert widget.layer_button.isEnabled()


def test_a_wrong_shape_is_said_also_while_something_is_missing(widget, tmp_path):
    shape = widget.form.widgets["shape"]
    shape.value = "80x9"
    lines = widget.problem.text().splitlines()
    assert lines[0].startswith("shape: give one edge for a cube (80) or three")
    assert lines[-1] == "To start, fill in: Input, Output."
    put(widget, "input", tmp_path)
    assert widget.problem.text().startswith("Wrong setting in the form:")
    assert not widget.start_button.isEnabled()
    shape.value = "80x96x80"
    assert widget.problem.text() == ""
    assert widget.form.config().shape == (80, 96, 80)


def test_every_setting_goes_through_the_form(widget):
    settings = {"shape": "96x112x96", "dof": 12, "brain_mask": "synthstrip"}
    settings |= {"memory_gib": 7.5, "scheduler": "tcp://node-1:8786", "workers": 3}
    config = PreprocessConfig(input="a", output="b", **settings)
    widget.form.fill(config)
    assert widget.form.config() == config
    assert type(widget.form.config().dof) is int


def test_results_bring_before_after_and_the_review(qtbot, widget, derivatives):
    assert not widget.controls.before.isEnabled()
    assert not widget.report_button.isEnabled()
    put(widget, "output", derivatives)
    with qtbot.waitSignal(widget.shown, timeout=20_000):
        widget.show_result("derivatives", derivatives)
    assert widget.controls.before.isEnabled()
    assert widget.report_button.isEnabled()
    widget.controls.after.click()
    assert view.side_shown(widget._napari) == "after"
    with qtbot.waitSignal(widget.shown, timeout=20_000):
        widget.show_result("quality", derivatives / "quality.html")
    assert "1 keep, 1 look, 1 reject" in widget.panel.log.toPlainText()
