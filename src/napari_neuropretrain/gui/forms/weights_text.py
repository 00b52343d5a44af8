"""What a person should know of initial weights before they are used. No Qt here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.pulled import is_pulled, pull_command
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS, KnownWeights

_MODEL_FILE, _MODEL_CARD = "model.safetensors", "model.json"


@dataclass(frozen=True)
class WeightsNote:
    """What to show of a source of weights.

    Parameters
    ----------
    text
        What it is, its licence and intended preprocessing, briefly.
    problem
        Why it cannot be used with this backbone; empty where it can, as far as
        can be told without reading it.
    more
        What else there is to know.
    """

    text: str
    problem: str = ""
    more: str = ""


def describe_weights(source: str, backbone: str) -> WeightsNote:
    """Say what weights are, and whether they can be used.

    Parameters
    ----------
    source
        As in the setting ``initial_weights``.
    backbone
        Catalog name of the chosen network.
    """
    source = source.strip()
    if not source:
        return WeightsNote("From scratch: random weights.")
    path = Path(source).expanduser()
    if not path.exists():
        if source in KNOWN_WEIGHTS:
            return _of_known(KNOWN_WEIGHTS[source], backbone)
        return WeightsNote(
            "",
            f"Initial weights: there is nothing at '{source}'. Choose known weights, "
            "an imported file, or the run folder of a training.",
        )
    return _of_file(path)


def _of_known(known: KnownWeights, backbone: str) -> WeightsNote:
    meant = known.preprocessing.partition(". ")[0].rstrip(".")
    text = f"{known.title}. Licence: {known.licence}. Meant for: {meant}."
    if known.differs:
        text += f" Unlike our volumes: {known.differs}."
    more = (
        f"{known.preprocessing}\nTrained on: {known.trained_on}\nCite: "
        f"{known.citation}\n{known.note}"
    ).strip()
    if known.backbone != backbone:
        return WeightsNote(
            text,
            f"The weights '{known.name}' belong to the backbone '{known.backbone}', "
            f"not to '{backbone}'. Choose that backbone, or other weights.",
            more,
        )
    if not is_pulled(known):
        size = f" ({known.size_mb} MB)" if known.size_mb else ""
        return WeightsNote(
            text,
            f"The weights '{known.name}' are not on this computer yet. Type in a "
            f"terminal{size}: {pull_command(known)}",
            more,
        )
    return WeightsNote(text, more=more)


def _of_file(path: Path) -> WeightsNote:
    """Describe an imported encoder, a model, or a run folder by its card."""
    if path.is_dir():
        path = path / _MODEL_FILE
        if not path.is_file():
            return WeightsNote(
                "",
                f"'{path.parent}' holds no {_MODEL_FILE}. Give the run folder of a "
                "finished training.",
            )
    beside = path.with_suffix(".json")
    card = _read(beside)
    if path.suffix != ".safetensors" or not card:
        return WeightsNote(
            "",
            f"'{path.name}' is a checkpoint of others, or its card is missing. Import "
            f"it first: neuropretrain weights import {path} --output "
            "encoder.safetensors",
        )
    licence = card.get("licence") or "not stated"
    network = _dict(card.get("backbone")).get("name", "?")
    if "task" in card:
        task = _dict(card["task"]).get("name", "?")
        text = f"Model for {task}, backbone {network}. Licence: {licence}."
    else:
        intended = card.get("preprocessing") or "not known"
        text = f"{card.get('title', 'Encoder')}, backbone {network}. "
        text += f"Licence: {licence}. Meant for: {intended}"
    return WeightsNote(text)


def _read(path: Path) -> dict[str, Any]:
    try:
        return _dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
