"""The command ``inspect``: what is in a file of weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.weights import InspectConfig
from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.errors import CheckpointError
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.weights.cache import pulled_file
from napari_neuropretrain.weights.card_text import describe_encoder, describe_model
from napari_neuropretrain.weights.checkpoint_files import hash_file, read_checkpoint
from napari_neuropretrain.weights.encoder_file import (
    FORMAT,
    EncoderCard,
    read_encoder_card,
    read_json,
)
from napari_neuropretrain.weights.guessing import rank_candidates
from napari_neuropretrain.weights.licences import describe_terms
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import CARD, WEIGHTS, read_card
from napari_neuropretrain.weights.search import StateDict, find_state_dicts

_ENOUGH = 0.5


def inspect(config: InspectConfig, report: Report) -> Outcome:
    """Print the card of a model or encoder, or a summary of any checkpoint.

    Raises
    ------
    CheckpointError
        If there is nothing, or it cannot be read.
    """
    path = Path(config.file)
    terms = ""
    if not path.exists() and str(path) in KNOWN_WEIGHTS:
        known = KNOWN_WEIGHTS[str(path)]
        terms = describe_terms(known)
        try:
            path = pulled_file(known)
        except CheckpointError as error:
            return Outcome(f"{terms}\n{error}")
    beside = _card_beside(path)
    if beside is not None:
        return Outcome(_show_card(beside, config.json_output, report))
    text = describe_checkpoint(path, config.names)
    return Outcome("\n".join(part for part in (terms, text) if part))


def describe_checkpoint(path: Path, names: int) -> str:
    """Summarise a checkpoint of others: its tensors, and what it may fit."""
    content = read_checkpoint(path)
    found = list(find_state_dicts(content))
    lines = [f"'{path}', {path.stat().st_size:,} bytes, sha256 {hash_file(path)}"]
    if isinstance(content, Mapping):
        others = [str(name) for name in content if not _holds(found, str(name))]
        lines += [f"other entries: {', '.join(others[:names])}"] if others else []
    if not found:
        return "\n".join([*lines, "It holds no tensors with names."])
    for one in found:
        lines += _describe_tensors(one, names)
    return "\n".join([*lines, *_guess(content)])


def _describe_tensors(found: StateDict, names: int) -> list[str]:
    tensors = found.tensors
    count = sum(tensor.numel() for tensor in tensors.values())
    where = f"under '{found.where}'" if found.where else "at the top"
    lines = [f"{len(tensors)} tensors {where}, {count:,} values:"]
    listed = list(tensors.items())[:names]
    lines += [f"  {name} {tuple(tensor.shape)}" for name, tensor in listed]
    left = len(tensors) - len(listed)
    return lines + ([f"  and {left} more"] if left else [])


def _guess(content: Any) -> list[str]:
    ranked = rank_candidates(content)
    best = ranked[0]
    if best.coverage.fraction < _ENOUGH:
        share = f"{best.coverage.fraction:.0%} of '{best.backbone}'"
        return [f"It fits no backbone of the catalog; the nearest is {share}."]
    return [
        f"It fits the backbone '{best.backbone}' with the importer '{best.importer}':",
        *(f"  {line}" for line in best.coverage.describe().splitlines()),
    ]


def _card_beside(path: Path) -> Path | None:
    """Return the card of a model or encoder, or None for a file of others."""
    if not path.exists():
        raise CheckpointError(
            f"There is nothing at '{path}'. Give a model, a run folder, an encoder, a "
            "checkpoint or the name of known weights."
        )
    if path.is_dir():
        card = path / CARD
        if not card.is_file():
            raise CheckpointError(
                f"The folder '{path}' holds no {CARD}. Give the run folder of a "
                "finished training, or a file."
            )
        return card
    if path.suffix == ".json":
        return path
    card = path.parent / CARD if path.name == WEIGHTS else path.with_suffix(".json")
    return card if path.suffix == ".safetensors" and card.is_file() else None


def _show_card(beside: Path, as_json: bool, report: Report) -> str:
    card: ModelCard | EncoderCard
    if read_json(beside).get("format") == FORMAT:
        card = read_encoder_card(beside)
        text = describe_encoder(card)
    else:
        card = read_card(beside)
        text = describe_model(card)
    weights = beside.with_suffix(".safetensors")
    if not weights.is_file():
        report(Progress("warning", f"There is no '{weights.name}' beside the card."))
    elif hash_file(weights) != card.sha256:
        message = f"'{weights}' is damaged or was exchanged: it is not what the card "
        report(Progress("warning", message + "describes."))
    if as_json:
        dumped = card.model_dump(mode="json")
        return json.dumps(dumped, indent=2, ensure_ascii=False)
    return text


def _holds(found: list[StateDict], name: str) -> bool:
    return any(
        one.where.split("/")[0] == name or (not one.where and name in one.tensors)
        for one in found
    )
