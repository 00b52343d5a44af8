"""The panel of predictions: cards, one click, models of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from napari.components import ViewerModel

from napari_neuropretrain.errors import ConfigError
from napari_neuropretrain.gui.prediction import words
from napari_neuropretrain.gui.prediction.predict_widget import PredictWidget
from napari_neuropretrain.gui.prediction.training_strip import BINS, Placed
from napari_neuropretrain.gui.reader import read_layers
from napari_neuropretrain.gui.scans import view

AGE = {
    "participant": "sub-01",
    "model": "age",
    "task": "brain_age",
    "prediction": 67.04,
    "unit": "years",
    "label": "",
    "interval": {"kind": "conformal", "low": 42.8, "high": 91.3, "level": 0.9},
    "spread": {"kind": "tta", "low": 58.8, "high": 75.3, "level": 0.9},
    "samples": 10,
    "percentile_by_group": {"all": 77.2},
    "warnings": [
        {"kind": "age", "sentence": "91 years is outside the training ages."},
        {"kind": "missing", "sentence": "The sex is not known."},
    ],
}
AD = AGE | {
    "model": "ad",
    "task": "ad",
    "prediction": 0.953,
    "unit": "probability",
    "label": "AD",
    "interval": {"kind": "tta", "low": 0.91, "high": 0.98, "level": 0.9},
    "spread": {"kind": "tta", "low": 0.91, "high": 0.98, "level": 0.9},
    "percentile_by_group": {"CN": 100.0, "AD": 62.0},
    "warnings": [],
}
MODELS = [
    {
        "name": "age",
        "kind": "regression",
        "outputs": {"all": [20.0, 40.0, 60.0]},
        "trained_on": 92,
        "validation_scans": 21,
        "card": "Model for brain_age",
    },
    {
        "name": "ad",
        "kind": "binary",
        "outputs": {"CN": [0.1, 0.2], "AD": [0.9]},
        "threshold": 0.56,
        "card": "Model for ad",
    },
]
REPORT = {
    "models": MODELS,
    "predictions": [AGE, AD, AGE | {"participant": "sub-02", "prediction": 30.0}],
}
FAKE = """
import json, os, sys, time
from pathlib import Path
import yaml
settings = yaml.safe_load(Path(sys.argv[-1]).read_text())
out = Path(settings["output"])
def say(state, **more):
    with (out / "events.jsonl").open("a") as file:
        file.write(json.dumps({"time": time.time(), "state": state, **more}) + chr(10))
say("started", values={"pid": os.getpid(), "job": "predict"})
report = out / "predictions.json"
report.write_text(REPORT)
say("result", values={"kind": "prediction_report", "path": str(report)})
say("finished", message="Predicted. For research use only.")
"""


@pytest.fixture
def widget(qtbot):
    made = PredictWidget(ViewerModel())
    qtbot.addWidget(made)
    return made


@pytest.fixture
def fake_predict(tmp_path) -> list[str]:
    """The command of a job that writes the report above."""
    import sys

    script = tmp_path / "fake_predict.py"
    script.write_text(FAKE.replace("REPORT", repr(json.dumps(REPORT)), 1))
    return [sys.executable, str(script)]


def put(widget, name, value):
    widget.form.widgets[name].line_edit.value = str(value)


def test_cards_say_value_interval_place_and_doubt(widget):
    widget.show_report(REPORT)
    assert [widget.scans.itemText(i) for i in range(widget.scans.count())] == [
        "sub-01",
        "sub-02",
    ]
    age, ad = widget.cards.cards
    assert age.value.text() == "67.0 years"
    assert age.interval.text() == (
        "90 % interval: 42.8 to 91.3 (calibrated on 21 validation scans)."
    )
    assert age.spread.text() == (
        "90 % spread: 58.8 to 75.3 (spread of 10 slightly changed copies of the scan)."
    )
    assert age.place.text().startswith("Higher than the outputs for 77 % of the 92")
    assert [label.text() for label in age.doubts] == [
        "Warning: 91 years is outside the training ages.",
        "Note: The sex is not known.",
    ]
    assert ad.value.text() == "AD, probability 0.95"
    assert ad.spread.text() == ""  # it is the interval already
    assert ad.place.text() == (
        "Higher than the outputs for 100 % of CN, 62 % of AD in the training."
    )
    assert {card.use.text() for card in (age, ad)} == {"For research use only."}
    widget.scans.setCurrentText("sub-02")
    assert [card.value.text() for card in widget.cards.cards] == ["30.0 years"]


def test_the_model_card_is_one_click_away(widget):
    widget.show_report(REPORT)
    card = widget.cards.cards[0]
    assert not card.card.isVisibleTo(card)
    card.card_button.click()
    assert card.card.isVisibleTo(card)
    assert card.card.toPlainText() == "Model for brain_age"


def test_bars_are_shares_of_each_group():
    placed = Placed(0.95, MODELS[1]["outputs"], limits=(0.0, 1.0))
    bars = placed.bars()
    assert [sum(shares) for shares in bars.values()] == pytest.approx([1.0, 1.0])
    assert bars["AD"][int(0.9 * BINS)] == 1.0
    low, high = Placed(67.0, {"all": (20.0, 60.0)}, (42.8, 91.3)).axis()
    assert low < 20 < 91.3 < high
    assert Placed(3.0).axis() == (2.0, 4.0)  # nothing is known of the training


def test_models_of_a_folder_are_named(qtbot, widget, tmp_path):
    for name, task in (("ad", "ad"), ("age", "brain_age")):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"")
        card = {"format": "napari-neuropretrain model", "task": {"name": task}}
        (folder / "model.json").write_text(json.dumps(card))
    put(widget, "model", tmp_path / "models")
    qtbot.waitUntil(lambda: "2 models" in widget.models.text(), timeout=20_000)
    assert "age (Age in years)" in widget.models.text()
    put(widget, "model", tmp_path)
    (tmp_path / "models").rename(tmp_path / ".hidden")
    put(widget, "model", tmp_path / "nothing")
    qtbot.waitUntil(lambda: "no such" in widget.models.text(), timeout=20_000)


def test_one_click_predicts_the_current_layer(
    qtbot, widget, tmp_path, oblique_scan, fake_predict
):
    widget._command = fake_predict
    put(widget, "model", tmp_path)
    put(widget, "output", tmp_path / "out")
    widget.layer_button.click()
    assert "There is no image layer." in widget.problem.text()
    view.add_layers(widget._viewer, read_layers(oblique_scan))
    with qtbot.waitSignal(widget.ended, timeout=30_000):
        widget.layer_button.click()
    assert widget.form.values()["input"] == oblique_scan
    assert [card.value.text() for card in widget.cards.cards] == [
        "67.0 years",
        "AD, probability 0.95",
    ]
    assert widget._area.isVisibleTo(widget)
    assert "For research use only." in widget.panel.state.text()


def test_a_folder_without_predictions_says_what_to_give(tmp_path: Path):
    (tmp_path / "predictions.json").write_text("[]")
    with pytest.raises(ConfigError, match="output folder of a finished"):
        words.read_report(tmp_path)


def test_a_value_without_interval_or_cohort():
    notes = {"prediction": 3.0, "unit": "", "interval": None, "spread": None}
    assert words.say_value(notes) == "3.0"
    assert words.say_interval(notes, {}) == ""
    assert words.say_spread(notes, {}) == ""
    assert "does not tell" in words.say_percentiles(notes, {})
