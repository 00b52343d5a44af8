"""The card of one prediction: value, interval, place, doubts, and the model's card."""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from napari_neuropretrain.gui.forms.choice_field import Explanation, side_button
from napari_neuropretrain.gui.forms.sentence import Sentence
from napari_neuropretrain.gui.forms.wrapped_label import WrappedLabel
from napari_neuropretrain.gui.prediction.training_strip import Placed, TrainingStrip
from napari_neuropretrain.gui.prediction.words import (
    Notes,
    people_of,
    say_interval,
    say_percentiles,
    say_spread,
    say_value,
    title_of,
)

RESEARCH_USE = "For research use only."
_CARD_HEIGHT = 220


class PredictionCard(QFrame):
    """Everything to see of one prediction.

    Parameters
    ----------
    notes, model
        Of the prediction and of its model, from ``predictions.json``.
    """

    def __init__(self, notes: Notes, model: Notes) -> None:
        super().__init__()
        self.setObjectName("card")
        # A grey that is seen on dark and light.
        self.setStyleSheet("QFrame#card { border: 1px solid rgba(128,128,128,110); }")
        self.title = WrappedLabel(f"{title_of(notes['task'])}  ·  {notes['model']}")
        self.value = QLabel(say_value(notes))
        self.value.setStyleSheet("QLabel { font-size: 18px; font-weight: bold; }")
        self.interval = WrappedLabel(
            say_interval(notes, model) or "The model has no interval."
        )
        self.strip = TrainingStrip(_placed(notes, model), str(notes["unit"]))
        self.place = WrappedLabel(say_percentiles(notes, model))
        self.spread = Explanation()
        self.spread.setText(say_spread(notes, model))
        self.doubts = [_doubt(one) for one in notes.get("warnings", ())]
        self.card_button = side_button(
            "Model card", "Who it was trained on, how well it did, what it needs."
        )
        self.card_button.setCheckable(True)
        self.card = _card_text(str(model.get("card", "")))
        self.card_button.toggled.connect(self.card.setVisible)
        self.use = QLabel(RESEARCH_USE)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        parts = (self.title, self.value, self.interval, self.strip, self.place)
        for part in (*parts, self.spread, *self.doubts):
            column.addWidget(part)
        row = QHBoxLayout()
        row.addWidget(self.use, 1)
        row.addWidget(self.card_button)
        column.addLayout(row)
        column.addWidget(self.card)


class PredictionCards(QWidget):
    """The cards of one scan, one for each model."""

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[PredictionCard] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    def show_scan(self, report: dict[str, Any], participant: str = "") -> None:
        """Show what every model says of one scan; of the first if none is named."""
        self.clear()
        wanted = participant or next(iter(people_of(report)), "")
        models = {model["name"]: model for model in report["models"]}
        for notes in report["predictions"]:
            if notes["participant"] == wanted:
                card = PredictionCard(notes, models.get(notes["model"], {}))
                self.cards.append(card)
                self._column.addWidget(card)

    def clear(self) -> None:
        """Take all cards away."""
        for card in self.cards:
            self._column.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = []


def _placed(notes: Notes, model: Notes) -> Placed:
    found = notes.get("interval")
    binary = model.get("kind") == "binary"
    return Placed(
        float(notes["prediction"]),
        model.get("outputs", {}),
        (found["low"], found["high"]) if found else None,
        (0.0, 1.0) if binary else None,
        model.get("threshold"),
    )


def _doubt(doubt: Notes) -> Sentence:
    """Write a reason for doubt; what is only not known is not coloured."""
    known = doubt["kind"] != "missing"
    label = Sentence("doubt" if known else "plain")
    label.setText(("Warning: " if known else "Note: ") + doubt["sentence"])
    return label


def _card_text(text: str) -> QPlainTextEdit:
    shown = QPlainTextEdit(text)
    shown.setReadOnly(True)
    shown.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    shown.setMinimumHeight(_CARD_HEIGHT)
    shown.setVisible(False)
    return shown
