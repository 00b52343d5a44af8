"""Pre-trained encoders: safetensors without a head, and a card beside them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
from pydantic import Field
from safetensors import SafetensorError
from torch import Tensor

from napari_neuropretrain.config.base import Config, write_bytes, write_text
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.weights.model_card import CohortSummary, Part
from napari_neuropretrain.weights.model_file import software_versions, tensors_to_bytes

FORMAT = "napari-neuropretrain encoder"
ENCODER = "encoder.safetensors"
"""File name in the run folder of a pre-training."""


class EncoderCard(Config):
    """Where an encoder is from and how to feed it; the JSON beside its tensors."""

    format: Literal["napari-neuropretrain encoder"] = "napari-neuropretrain encoder"
    """Tells this file from any other JSON."""
    format_version: Literal[1] = 1
    """Version of this layout."""
    title: str
    """One line for people."""
    backbone: Part
    """Network, with the options it was imported for."""
    importer: str
    """How the source named its tensors."""
    source: str
    """File name or address of the source."""
    source_sha256: str
    """Hash of the source."""
    known_as: str = ""
    """Name in the list of known weights."""
    licence: str = ""
    """Licence of the weights."""
    preprocessing: str = ""
    """What the input of the pre-training was like."""
    shape: str = ""
    """Input shape of the pre-training."""
    trained_on: str = ""
    """Data and method of the pre-training."""
    citation: str = ""
    """Whom to cite."""
    note: str = ""
    """What else to know."""
    contract: PreprocessingContract | None = None
    """Preprocessing of the volumes it learned from, where we trained it."""
    cohort: CohortSummary = CohortSummary()
    """Who it learned from, as hashes, where we trained it."""
    earlier_cohorts: tuple[CohortSummary, ...] = ()
    """Who its initial weights had learned from, and theirs; the latest first."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Settings and outcome of the pre-training, where we trained it."""
    coverage: dict[str, Any] = Field(default_factory=dict)
    """What became of each tensor of the source."""
    parameters: int = 0
    """Numbers that were filled."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Software it was made with."""
    created: str = ""
    """UTC time of writing, ISO 8601."""
    sha256: str = ""
    """Hash of the safetensors file beside this card."""


def save_encoder(path: Path, tensors: dict[str, Tensor], card: EncoderCard) -> Path:
    """Write tensors and card, each whole or not at all; the card last.

    Parameters
    ----------
    path
        Ends in ``.safetensors``.
    tensors
        Under the names of our backbone, without a head.
    card
        Hash, time and versions are filled in here.
    """
    data = tensors_to_bytes(tensors)
    filled = card.replace(
        sha256=hashlib.sha256(data).hexdigest(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=software_versions(),
    )
    write_bytes(path, data)
    text = json.dumps(filled.model_dump(mode="json"), indent=2, ensure_ascii=False)
    write_text(path.with_suffix(".json"), text + "\n")
    return path


def load_encoder(path: Path) -> tuple[dict[str, Tensor], EncoderCard]:
    """Read an encoder.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged or of another kind.
    """
    card = read_encoder_card(path.with_suffix(".json"))
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != card.sha256:
            raise CheckpointError(
                f"'{path}' is damaged or was exchanged: its SHA-256 is not the one in "
                f"'{path.with_suffix('.json').name}'. Import it again."
            )
        return dict(safetensors.torch.load(data)), card
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"Cannot read the encoder '{path}': {error}") from None


def read_encoder_card(path: Path) -> EncoderCard:
    """Read the card of an encoder; `CheckpointError` says what is wrong with it."""
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise CheckpointError(f"'{path}' is not the card of an encoder.")
    try:
        return EncoderCard.parse(values, f"'{path}'")
    except ConfigError as error:
        raise CheckpointError(
            f"The card is of another version or was edited. {error}"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; `CheckpointError` says what is wrong with it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Cannot read the card '{path}': {error}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"'{path}' is not a card.")
    return values
