from __future__ import annotations

import pytest
from magicgui.widgets import ComboBox, FloatSpinBox, SpinBox
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_neuropretrain.config.jobs import JOBS, PredictConfig
from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.forms.fold import Fold
from napari_neuropretrain.gui.forms.form import Form
from napari_neuropretrain.gui.forms.sentence import Sentence


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


def test_a_reason_takes_the_height_of_its_words_and_no_more(qtbot):
    form = Form(PredictConfig)
    qtbot.addWidget(form)
    form.resize(380, 900)
    form.show()
    form.point_out({"model": "nothing at 'x'. Give the path of an existing file."})
    label = form._reasons.labels["model"]
    below = form._rows["input"]
    qtbot.waitUntil(lambda: label.height() == label.heightForWidth(label.width()))
    qtbot.waitUntil(lambda: below.y() - label.geometry().bottom() < 12)


@pytest.mark.parametrize("light", [False, True])
def test_a_sentence_can_be_read_in_each_theme(qtbot, light):
    window = QWidget()
    qtbot.addWidget(window)
    background, text = ("#ebe7e6", "#1e1e21") if light else ("#23242b", "#f0f1f2")
    window.setStyleSheet(f"QWidget {{ background: {background}; color: {text}; }}")
    sentence = Sentence()
    QVBoxLayout(window).addWidget(sentence)
    window.show()
    for tone in ("wrong", "doubt", "good"):
        sentence.say("It cannot start.", tone)
        shown = sentence.palette().windowText().color()
        assert contrast(shown, QColor(background)) > 5
    sentence.say("It can.")
    assert sentence.palette().windowText().color() == QColor(text)
    sentence.say("")
    assert sentence.isHidden()


def contrast(one, other):
    """Contrast of two colours as WCAG 2 defines it."""

    def luminance(color):
        parts = (color.redF(), color.greenF(), color.blueF())
        linear = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
            for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_what_is_folded_is_passed_by(qtbot):
    form = Form(PredictConfig)
    qtbot.addWidget(form)
    form.show()
    samples = form.widgets["samples"].native
    assert not samples.isVisible()
    fold = form.findChild(Fold)
    qtbot.mouseClick(fold.button, Qt.MouseButton.LeftButton)
    assert samples.isVisible()
    qtbot.mouseClick(fold.button, Qt.MouseButton.LeftButton)
    assert not samples.isVisible()
    form.point_out({"samples": "too many"})
    assert samples.isVisible()  # a reason unfolds it
