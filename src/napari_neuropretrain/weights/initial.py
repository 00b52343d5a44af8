"""Start a network from pre-trained weights."""

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

from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS, KnownWeights
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.weights.cache import pulled_file
from napari_neuropretrain.weights.card_text import describe_contract
from napari_neuropretrain.weights.checkpoint_files import hash_file, read_checkpoint
from napari_neuropretrain.weights.coverage import THRESHOLD, Coverage
from napari_neuropretrain.weights.encoder_file import FORMAT, load_encoder, read_json
from napari_neuropretrain.weights.guessing import layout_of
from napari_neuropretrain.weights.importing import warnings_of
from napari_neuropretrain.weights.layouts import OURS, Layout
from napari_neuropretrain.weights.licences import describe_terms
from napari_neuropretrain.weights.model_card import Part
from napari_neuropretrain.weights.model_file import CARD, WEIGHTS, read_card
from napari_neuropretrain.weights.search import best_fit
from napari_neuropretrain.weights.target import Geometry, head_of, target_of


@dataclass(frozen=True)
class _Source:
    """Tensors to start from, and what is known about them."""

    tensors: Any
    layout: Layout
    geometry: Geometry
    about: str
    name: str
    licence: str


def load_initial_weights(
    network: nn.Module, source: str, report: Report, threshold: float = THRESHOLD
) -> Coverage:
    """Fill everything but the head of a network.

    Parameters
    ----------
    network
        A backbone; changed in place, on whatever device it is.
    source
        An imported encoder (.safetensors), a model file or run folder of ours (its
        head is dropped), or the name of known weights that were pulled.
    report
        Hears licence, intended preprocessing, coverage, and a warning for tensors
        that stay random.
    threshold
        Smallest share of values and of tensors that must be filled.

    Returns
    -------
    Coverage
        What became of each tensor; with source and licence, for the card of a model
        that is trained from it.

    Raises
    ------
    CheckpointError
        If the source cannot be used or fills too little; the network is unchanged.
    """
    found = _read(source)
    target = target_of(network)
    fitted = best_fit(found.tensors, target, found.layout, found.geometry)
    fitted.coverage.require(threshold, source)
    report(Progress("item_done", found.about))
    network.load_state_dict(fitted.tensors, strict=False)
    summary = fitted.coverage.summary()
    report(Progress("item_done", f"Initial weights from {found.name}: {summary}."))
    for line in warnings_of(fitted.coverage):
        report(Progress("warning", line))
    return replace(fitted.coverage, source=found.name, licence=found.licence)


def licence_of(source: str) -> str:
    """Return the licence of initial weights for the card of what starts from them.

    Parameters
    ----------
    source
        As for `load_initial_weights`; may be empty.

    Returns
    -------
    str
        Empty where there are no weights, or nothing is known about them.
    """
    if not source:
        return ""
    try:
        licence = _read_licence(source)
    except CheckpointError:
        licence = ""
    return f"of the initial weights: {licence}" if licence else ""


def _read_licence(source: str) -> str:
    path = Path(source)
    if not path.exists() and source in KNOWN_WEIGHTS:
        return KNOWN_WEIGHTS[source].licence
    card = path / CARD if path.is_dir() else _card_of(path)
    return str(read_json(card).get("licence", ""))


def _card_of(path: Path) -> Path:
    return path.parent / CARD if path.name == WEIGHTS else path.with_suffix(".json")


def _read(source: str) -> _Source:
    """Find out what kind of source this is, and read it."""
    path = Path(source)
    if not path.exists() and source in KNOWN_WEIGHTS:
        return _from_known(KNOWN_WEIGHTS[source])
    if path.is_dir():
        path = path / WEIGHTS
    if not path.is_file():
        known = ", ".join(KNOWN_WEIGHTS)
        raise CheckpointError(
            f"There are no initial weights at '{source}'. Give an imported encoder, a "
            f"model or its run folder, or one of the known weights: {known}."
        )
    card = _card_of(path)
    if path.suffix != ".safetensors" or not card.is_file():
        raise CheckpointError(
            f"'{path}' is a checkpoint of others, or its card is missing. Turn it into "
            f"an encoder first: neuropretrain weights import {path} --output "
            "encoder.safetensors"
        )
    if read_json(card).get("format") == FORMAT:
        return _from_encoder(path)
    return _from_model(path, card)


def _from_known(known: KnownWeights) -> _Source:
    content = read_checkpoint(pulled_file(known))
    layout, about = layout_of(known.importer), describe_terms(known)
    return _Source(content, layout, Geometry(), about, known.name, known.licence)


def _from_encoder(path: Path) -> _Source:
    tensors, card = load_encoder(path)
    about = (
        f"{card.title} ({path})\n  licence: {card.licence}\n"
        f"  intended preprocessing: {card.preprocessing or 'not known'}"
    )
    geometry = target_of(_outline(card.backbone, path)).geometry
    name = card.known_as or card.source
    layout = replace(OURS, fresh=layout_of(card.importer).fresh)
    return _Source(tensors, layout, geometry, about, name, card.licence)


def _from_model(path: Path, beside: Path) -> _Source:
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
    return _Source(tensors, layout, geometry, about, path.name, card.licence)


def _outline(part: Part, path: Path) -> nn.Module:
    try:
        with torch.device("meta"):
            network: nn.Module = part.build()
    except ConfigError as error:
        raise CheckpointError(
            f"'{path}' names a network that this version does not know. {error}"
        ) from None
    return network
