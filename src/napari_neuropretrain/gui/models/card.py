"""The card of a model file, read without its weights. No Qt here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from napari_neuropretrain.errors import CheckpointError

MODEL, ENCODER = "napari-neuropretrain model", "napari-neuropretrain encoder"
_ENCODER_KEYS = (
    *("title", "backbone", "trained_on", "preprocessing", "licence"),
    *("citation", "note", "source", "created"),
)


@dataclass(frozen=True)
class Card:
    """What people should know of a file of weights.

    Parameters
    ----------
    path
        The weights.
    kind
        A model predicts; an encoder is what fine-tuning starts from.
    text
        Lines for people.
    """

    path: Path
    kind: Literal["model", "encoder"]
    text: str

    @property
    def name(self) -> str:
        """Short name: a model of a run folder is called like the folder."""
        own = self.path.stem
        return self.path.parent.name if own in ("model", "encoder") else own


def read_card(path: Path) -> Card:
    """Read what stands beside the weights.

    Raises
    ------
    CheckpointError
        If there is no card, or it is of another program or version.
    """
    beside = path.with_suffix(".json")
    try:
        values = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        values = {}
    kind = values.get("format") if isinstance(values, dict) else None
    if kind == MODEL:
        return Card(path, "model", _describe_model(values, beside))
    if kind == ENCODER:
        return Card(path, "encoder", _describe_encoder(values))
    raise CheckpointError(
        f"'{path}' has no card: '{beside.name}' is missing beside it, or is not of "
        "this plugin. Copy it with the weights; other weights are read by "
        "neuropretrain weights import."
    )


def _describe_model(values: dict[str, Any], beside: Path) -> str:
    """Return the same card as ``neuropretrain inspect``."""
    from napari_neuropretrain.errors import ConfigError
    from napari_neuropretrain.weights.card_text import describe_model
    from napari_neuropretrain.weights.model_card import ModelCard

    try:
        return describe_model(ModelCard.parse(values, f"'{beside}'"))
    except ConfigError as error:
        raise CheckpointError(
            f"The model card is of another version or was edited. {error}"
        ) from None


def _describe_encoder(values: dict[str, Any]) -> str:
    shown = {key: values[key] for key in _ENCODER_KEYS if values.get(key)}
    first = "An encoder gives features, not predictions: fine-tune it.\n\n"
    return first + str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))
