"""What a model file says about itself."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from napari_neuropretrain.config.base import Config
from napari_neuropretrain.config.catalog import CATALOGS
from napari_neuropretrain.config.contract import PreprocessingContract
from napari_neuropretrain.weights.reference import Reference


class Part(Config):
    """A catalog entry with all its options written out.

    Written out, so that a later change of a default cannot change an old model.
    """

    catalog: Literal["backbones", "tasks"]
    """Which catalog."""
    name: str
    """Name of the entry."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Every option by name."""

    def build(self, **arguments: Any) -> Any:
        """Call the entry's target with its options.

        Raises
        ------
        ConfigError
            If the entry or one of its options is not known here.
        """
        entry = CATALOGS[self.catalog][self.name]
        options = entry.options.parse(self.options, f"the options of '{self.name}'")
        return entry.load()(options, **arguments)


class CohortSummary(Config):
    """Who a model was trained on; no one can be told from it.

    Participants are listed as hashes of their ids, so that a person who predicts
    for someone the model has seen can be warned.
    """

    scans: dict[str, int] = Field(default_factory=dict)
    """Number of scans by split."""
    participants: dict[str, int] = Field(default_factory=dict)
    """Number of participants by split."""
    age_mean: float | None = None
    """Mean age of the training participants in years."""
    age_range: tuple[float, float] | None = None
    """Youngest and oldest training participant in years."""
    sexes: dict[str, int] = Field(default_factory=dict)
    """Training participants by sex."""
    sites: dict[str, int] = Field(default_factory=dict)
    """Training participants by site."""
    salt: str = ""
    """Random text put before an id is hashed, different for each model."""
    hashed_participants: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Hashed ids by split."""

    def split_of(self, participant: str) -> str | None:
        """Return the split a participant was in, or None if never seen."""
        hashed = hash_participant(participant, self.salt)
        for split, members in self.hashed_participants.items():
            if hashed in members:
                return split
        return None


class ModelCard(Config):
    """Everything needed to use a model rightly; stored as ``model.json``."""

    format: Literal["napari-neuropretrain model"] = "napari-neuropretrain model"
    """Tells this file from any other JSON."""
    format_version: Literal[1] = 1
    """Version of this layout."""
    backbone: Part
    """Network."""
    task: Part
    """What it was trained to do."""
    kind: Literal["binary", "regression"]
    """Kind of its output."""
    label: str
    """Column of the label it learned."""
    unit: str
    """Unit of its output."""
    contract: PreprocessingContract
    """Preprocessing its input must have had."""
    cohort: CohortSummary = CohortSummary()
    """Who it was trained on."""
    earlier_cohorts: tuple[CohortSummary, ...] = ()
    """Who its initial weights had learned from, and theirs; the latest first."""
    reference: Reference = Reference()
    """What predictions for new scans are compared with; empty in older files."""
    metrics: dict[str, Any] = Field(default_factory=dict)
    """Validation, test and baseline metrics."""
    threshold: float | None = None
    """Probability from which on a person is called positive; from validation."""
    label_mean: float = 0.0
    """Mean of the training labels, in `unit` (0 for groups)."""
    label_sd: float = 1.0
    """Standard deviation of the training labels, in `unit` (1 for groups)."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Settings it was trained with, and the epoch it is from."""
    parameters: int = 0
    """Number of parameters."""
    licence: str = ""
    """Licence of the model, and of the weights it was started from."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Software it was made with."""
    created: str = ""
    """UTC time of writing, ISO 8601."""
    sha256: str = ""
    """Hash of the safetensors file beside this card."""


def hash_participant(participant: str, salt: str) -> str:
    """Return the SHA-256 of salt and id, 64 hexadecimal digits.

    Examples
    --------
    >>> hash_participant("sub-01", "ab")[:8]
    'd229d2a3'
    """
    bare = participant.removeprefix("sub-")
    return hashlib.sha256(f"{salt}:{bare}".encode()).hexdigest()


def summarise_cohort(
    rows: Iterable[tuple[str, str, Mapping[str, str]]], salt: str = ""
) -> CohortSummary:
    """Count who was in which split.

    Parameters
    ----------
    rows
        Participant id, split and table row, one for each scan.
    salt
        For the hashes; a new one is drawn where it is empty.
    """
    salt = salt or secrets.token_hex(16)
    scans: dict[str, int] = {}
    people: dict[str, dict[str, Mapping[str, str]]] = {}
    for participant, split, row in rows:
        scans[split] = scans.get(split, 0) + 1
        people.setdefault(split, {}).setdefault(participant, row)
    trained = list(people.get("train", {}).values())
    ages = [age for row in trained if (age := _age(row)) is not None]
    return CohortSummary(
        scans=scans,
        participants={split: len(members) for split, members in people.items()},
        age_mean=round(sum(ages) / len(ages), 2) if ages else None,
        age_range=(min(ages), max(ages)) if ages else None,
        sexes=_count(trained, ("sex", "gender")),
        sites=_count(trained, ("site", "center", "centre")),
        salt=salt,
        hashed_participants={
            # Sorted, so that the order says nothing about who is who.
            split: tuple(sorted(hash_participant(name, salt) for name in members))
            for split, members in people.items()
        },
    )


def _value(row: Mapping[str, str], names: tuple[str, ...]) -> str:
    found = {name.lower(): text.strip() for name, text in row.items()}
    return next((found[name] for name in names if found.get(name)), "")


def _age(row: Mapping[str, str]) -> float | None:
    try:
        age = float(_value(row, ("age", "age_years")))
    except ValueError:
        return None
    return age if 0 <= age <= 120 else None


def _count(rows: Iterable[Mapping[str, str]], names: tuple[str, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        if text := _value(row, names):
            counts[text] = counts.get(text, 0) + 1
    return dict(sorted(counts.items()))
