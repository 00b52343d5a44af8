"""Who weights have learned from, through all the trainings behind them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_neuropretrain.config.weights_catalog import KNOWN_WEIGHTS
from napari_neuropretrain.weights.encoder_file import (
    ENCODER,
    FORMAT,
    EncoderCard,
    read_encoder_card,
    read_json,
)
from napari_neuropretrain.weights.model_card import (
    CohortSummary,
    ModelCard,
    hash_participant,
)
from napari_neuropretrain.weights.model_file import CARD, WEIGHTS, read_card
from napari_neuropretrain.weights.sources import card_of

LEARNED_FROM = ("train", "validation")
"""Splits that shaped a network: its weights, or the choice of its best epoch."""


def cohorts_behind(source: str) -> tuple[CohortSummary, ...]:
    """Return the cohorts that initial weights learned from, the latest first.

    Parameters
    ----------
    source
        As for `load_initial_weights`; may be empty.

    Returns
    -------
    tuple
        Empty for weights of others, whose participants nobody has listed.

    Raises
    ------
    CheckpointError
        If a card cannot be read.
    """
    card = _card(source)
    return () if card is None else cohorts_of(card)


def cohorts_of(card: ModelCard | EncoderCard) -> tuple[CohortSummary, ...]:
    """Return the cohorts behind a model or an encoder, its own first."""
    everyone = (card.cohort, *card.earlier_cohorts)
    return tuple(one for one in everyone if one.hashed_participants)


def origin_of(source: str) -> str:
    """Say in a few words what initial weights learned from."""
    if not Path(source).exists() and source in KNOWN_WEIGHTS:
        return KNOWN_WEIGHTS[source].trained_on
    card = _card(source)
    known = card.trained_on if isinstance(card, EncoderCard) else ""
    return known or "not stated"


def seen_among(
    participants: Iterable[str], cohorts: Iterable[CohortSummary]
) -> tuple[str, ...]:
    """Return the participants who were trained on or validated with, sorted.

    Examples
    --------
    >>> hashed = (hash_participant("sub-01", "salt"),)
    >>> cohort = CohortSummary(salt="salt", hashed_participants={"train": hashed})
    >>> seen_among(["sub-02", "sub-01"], [cohort])
    ('sub-01',)
    """
    names, seen = sorted(set(participants)), set[str]()
    for cohort in cohorts:
        parts = [cohort.hashed_participants.get(part, ()) for part in LEARNED_FROM]
        hashed = frozenset().union(*parts)
        seen |= {one for one in names if hash_participant(one, cohort.salt) in hashed}
    return tuple(sorted(seen))


def _card(source: str) -> ModelCard | EncoderCard | None:
    path = Path(source)
    if not source or not path.exists():
        return None
    if path.is_dir():
        pretrained = (path / ENCODER).is_file() and not (path / WEIGHTS).is_file()
        beside = path / (Path(ENCODER).with_suffix(".json") if pretrained else CARD)
    else:
        beside = card_of(path)
    if not beside.is_file():
        return None
    if read_json(beside).get("format") == FORMAT:
        return read_encoder_card(beside)
    return read_card(beside)
