"""Tensors to start from: known weights, imported encoders, models of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS, KnownWeights
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.weights.cache import pulled_file
from napari_neuropretrain.weights.card_text import describe_contract
from napari_neuropretrain.weights.checkpoint_files import hash_file, read_checkpoint
from napari_neuropretrain.weights.encoder_file import (
    ENCODER,
    FORMAT,
    load_encoder,
    read_json,
)
from napari_neuropretrain.weights.guessing import layout_of
from napari_neuropretrain.weights.layouts import OURS, Layout
from napari_neuropretrain.weights.licences import describe_terms
from napari_neuropretrain.weights.model_card import Part
from napari_neuropretrain.weights.model_file import CARD, WEIGHTS, read_card
from napari_neuropretrain.weights.target import Geometry, head_of, target_of


@dataclass(frozen=True)
class Source:
    """Tensors to start from, and what is known about them.

    Parameters
    ----------
    tensors
        What the file holds.
    layout, geometry
        How it names tensors and lays out its tables.
    about
        Origin, licence and intended preprocessing, for people.
    name, licence
        For the card of what is trained from it.
    backbone
        Catalog name of the network it is for.
    contract
        Preprocessing its training had, for models of ours.
    """

    tensors: Any
    layout: Layout
    geometry: Geometry
    about: str
    name: str
    licence: str
    backbone: str = ""
    contract: PreprocessingContract | None = None


def card_of(path: Path) -> Path:
    """Return the path of the card beside a file of tensors."""
    return path.parent / CARD if path.name == WEIGHTS else path.with_suffix(".json")


def read_source(source: str) -> Source:
    """Find out what kind of source this is, and read it.

    Raises
    ------
    CheckpointError
        If there is nothing, or it cannot be used.
    """
    path = Path(source)
    if not path.exists() and source in KNOWN_WEIGHTS:
        return _from_known(KNOWN_WEIGHTS[source])
    if path.is_dir():
        pretrained = (path / ENCODER).is_file() and not (path / WEIGHTS).is_file()
        path = path / (ENCODER if pretrained else WEIGHTS)
    if not path.is_file():
        known = ", ".join(KNOWN_WEIGHTS)
        raise CheckpointError(
            f"There are no initial weights at '{source}'. Give an imported encoder, a "
            f"model or its run folder, or one of the known weights: {known}."
        )
    card = card_of(path)
    if path.suffix != ".safetensors" or not card.is_file():
        raise CheckpointError(
            f"'{path}' is a checkpoint of others, or its card is missing. Turn it into "
            f"an encoder first: neuropretrain weights import {path} --output "
            "encoder.safetensors"
        )
    if read_json(card).get("format") == FORMAT:
        return _from_encoder(path)
    return _from_model(path, card)


def _from_known(known: KnownWeights) -> Source:
    content = read_checkpoint(pulled_file(known))
    layout, about = layout_of(known.importer), describe_terms(known)
    name = known.name
    return Source(
        content, layout, Geometry(), about, name, known.licence, known.backbone
    )


def _from_encoder(path: Path) -> Source:
    tensors, card = load_encoder(path)
    about = (
        f"{card.title} ({path})\n  licence: {card.licence}\n"
        f"  intended preprocessing: {card.preprocessing or 'not known'}"
    )
    geometry = target_of(_outline(card.backbone, path)).geometry
    name = card.known_as or card.source
    layout = replace(OURS, fresh=layout_of(card.importer).fresh)
    return Source(
        tensors,
        layout,
        geometry,
        about,
        name,
        card.licence,
        card.backbone.name,
        card.contract,
    )


def _from_model(path: Path, beside: Path) -> Source:
    card = read_card(beside)
    if hash_file(path) != card.sha256:
        raise CheckpointError(
            f"'{path}' is damaged or was exchanged: its SHA-256 is not the one in "
            f"'{beside.name}'."
        )
    network = _outline(card.backbone, beside)
    head = (rf"^{re.escape(head_of(network))}\.", "head of another task")
    layout = Layout(drops=(head, *OURS.drops), renames=OURS.renames)
    about = (
        f"Model for {card.task.name} ({path})\n  licence: "
        f"{card.licence or 'not stated'}\n  intended preprocessing: "
        f"{describe_contract(card.contract)}"
    )
    try:
        tensors: Mapping[str, Any] = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"'{path}' is not a safetensors file: {error}") from None
    geometry = target_of(network).geometry
    return Source(
        tensors,
        layout,
        geometry,
        about,
        path.name,
        card.licence,
        card.backbone.name,
        card.contract,
    )


def _outline(part: Part, path: Path) -> nn.Module:
    try:
        with torch.device("meta"):
            network: nn.Module = part.build()
    except ConfigError as error:
        raise CheckpointError(
            f"'{path}' names a network that this version does not know. {error}"
        ) from None
    return network
