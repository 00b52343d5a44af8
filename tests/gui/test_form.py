from __future__ import annotations

import pytest
from magicgui.widgets import ComboBox, FloatSpinBox, SpinBox
from qtpy.QtCore import Qt

from napari_neuropretrain.config.jobs import JOBS
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.forms.form import Form


@pytest.mark.parametrize("job", [entry.name for entry in JOBS])
def test_form_of_the_defaults_gives_the_defaults(qtbot, job):
    options = JOBS[job].options
    form = Form(options)
    qtbot.addWidget(form)
    fields = options.model_fields.items()
    required = {name: f"/{name}" for name, field in fields if field.is_required()}
    assert form.missing() == [name.replace("_", " ").capitalize() for name in required]
    for name, path in required.items():
        form.widgets[name].line_edit.value = path
    assert form.missing() == []
    given: dict[str, object] = dict(required)
    if job in ("pretrain", "preview"):  # a cohort, or another source
        given["source"] = form.widgets["source"].value = "template_cohort"
    assert form.config() == options.parse(given)


def test_settings_survive_the_form(qtbot):
    options = JOBS["finetune"].options
    form = Form(options)
    qtbot.addWidget(form)
    config = options(
        cohort="c",
        output="o",
        task={"name": "ad", "label": "dx"},
        learning_rate=5e-5,
        weight_decay=0.003,
        augment=False,
        epochs=9999,
        validation_fraction=0.123,
        device="cuda:1",
    )
    form.fill(config)
    assert form.config() == config


def test_bounds_help_and_titles_come_from_the_settings(qtbot):
    form = Form(JOBS["finetune"].options)
    qtbot.addWidget(form)
    batch, rate = form.widgets["batch_size"], form.widgets["learning_rate"]
    assert isinstance(batch, SpinBox)
    assert (batch.min, batch.max, batch.step) == (2, 1024, 1)
    assert isinstance(rate, FloatSpinBox)
    assert rate.value == 1e-3
    assert "learning rate" in rate.tooltip
    task = form.widgets["task"]
    assert isinstance(task, ComboBox)
    row = task.native.findText("brain_age")
    title = task.native.itemData(row, Qt.ItemDataRole.ToolTipRole)
    assert title == "Age in years"


def test_wrong_combination_is_said_in_words(qtbot):
    form = Form(JOBS["explain"].options)
    qtbot.addWidget(form)
    for name in ("model", "input", "output"):
        form.widgets[name].line_edit.value = "x"
    form.widgets["patch"].value = 4
    form.widgets["stride"].value = 8
    with pytest.raises(ConfigError, match=r"stride: must be at most the patch \(4\)"):
        form.config()


def test_zero_has_a_word_where_it_means_that_nothing_is_known(qtbot):
    form = Form(JOBS["predict"].options)
    qtbot.addWidget(form)
    age = form.widgets["age"]
    assert (age.value, age.native.text()) == (0.0, "unknown")
    age.value = 71.5
    assert age.native.text().startswith("71.5")
    samples = form.widgets["samples"]
    assert samples.native.text() == "10"
