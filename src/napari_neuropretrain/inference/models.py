"""The models of a prediction: found in folders, grouped into ensembles."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from napari_neuropretrain.data.model_cards import find_models, name_models
from napari_neuropretrain.errors import CheckpointError, NeuropretrainError
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import find_model, read_card
from napari_neuropretrain.weights.reference import Reference, thin

ALL = "all"
"""Name of the one group of a model for numbers."""
_TABLE = "predictions.tsv"


@dataclass(frozen=True, eq=False)
class Model:
    """One model file.

    Parameters
    ----------
    name
        Tells it from the others of this prediction.
    path
        Of its weights.
    card
        What it says about itself.
    reference
        What new scans are compared with.
    """

    name: str
    path: Path
    card: ModelCard
    reference: Reference


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Models for one question that are asked together; often only one.

    Parameters
    ----------
    name
        Of the only model, or the task and the number of models.
    members
        All of one task, label, contract and network.
    """

    name: str
    members: tuple[Model, ...]

    @property
    def card(self) -> ModelCard:
        """The card of the first member, which speaks for all."""
        return self.members[0].card

    @property
    def threshold(self) -> float:
        """Mean decision threshold of the members; 0.5 for one without."""
        given = [threshold_of(one.card) for one in self.members]
        return sum(given) / len(given)

    @cached_property
    def reference(self) -> Reference:
        """The numbers of all members in one; images as the first member has them."""
        if len(self.members) == 1:
            return self.members[0].reference
        parts = [one.reference for one in self.members]
        groups = {name for one in parts for name in one.outputs}
        return parts[0].replace(
            outputs={
                name: thin([v for one in parts for v in one.outputs.get(name, ())])
                for name in sorted(groups)
            },
            labels=thin([value for one in parts for value in one.labels]),
            residuals=tuple(sorted(v for one in parts for v in one.residuals)),
        )


def read_models(paths: Sequence[Path], report: Report) -> list[Model]:
    """Read the cards of every model at `paths`.

    A single unusable model among several is left out with a warning.

    Raises
    ------
    CheckpointError
        If there is no model, or none can be used.
    """
    found = list(dict.fromkeys(one for path in paths for one in _models_at(path)))
    names, models = name_models(found), list[Model]()
    problems: list[str] = []
    for path in found:
        try:
            card = read_card(path.with_suffix(".json"))
        except CheckpointError as error:
            problems.append(str(error))
            continue
        models.append(Model(names[path], path, card, reference_of(path, card)))
    if not models:
        raise CheckpointError("\n".join(problems))
    for problem in problems:
        report(Progress("warning", f"A model is left out. {problem}"))
    return models


def group_models(models: Sequence[Model], together: bool) -> list[Ensemble]:
    """Put models that answer the same question together, or each by itself."""
    groups: dict[str, list[Model]] = {}
    for model in models:
        card = model.card
        same = json.dumps(
            [
                card.task.model_dump(mode="json"),
                card.label,
                card.unit,
                card.contract.model_dump(mode="json"),
                card.backbone.model_dump(mode="json"),
            ],
            sort_keys=True,
        )
        groups.setdefault(same if together else str(model.path), []).append(model)
    return [
        Ensemble(
            f"{group[0].card.task.name} ({len(group)} models)"
            if group[1:]
            else group[0].name,
            tuple(group),
        )
        for group in groups.values()
    ]


def threshold_of(card: ModelCard) -> float:
    """Return the model's decision threshold, 0.5 if it has none."""
    return 0.5 if card.threshold is None else card.threshold


def names_of(card: ModelCard) -> tuple[str, str]:
    """Return the names of the negative and the positive group."""
    options = card.task.options
    negative, positive = options.get("negative") or "0", options.get("positive") or "1"
    return str(negative[0]), str(positive[0])


def reference_of(path: Path, card: ModelCard) -> Reference:
    """Return what a model keeps of its cohort; an older run folder has a table."""
    table = path.with_name(_TABLE)
    if card.reference.outputs or not table.is_file():
        return card.reference
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            return _from_table(list(csv.DictReader(stream, delimiter="\t")), card)
    except (OSError, KeyError, ValueError, NeuropretrainError):
        return card.reference


def _from_table(rows: Sequence[Mapping[str, str]], card: ModelCard) -> Reference:
    trained = [row for row in rows if row["split"] == "train"]
    if card.kind == "binary":
        outputs: dict[str, list[float]] = {name: [] for name in names_of(card)}
        for row in trained:
            outputs[row["label"]].append(float(row["prediction"]))
        return Reference(outputs={name: thin(one) for name, one in outputs.items()})
    held = [row for row in rows if row["split"] == "validation"]
    errors = [abs(float(row["prediction"]) - float(row["label"])) for row in held]
    return Reference(
        outputs={ALL: thin([float(row["prediction"]) for row in trained])},
        labels=thin([float(row["label"]) for row in trained]),
        residuals=tuple(sorted(errors)),
    )


def _models_at(path: Path) -> list[Path]:
    if found := find_models(path):
        return found
    # It says what is missing, of a file as of a folder.
    return [find_model(path)]
