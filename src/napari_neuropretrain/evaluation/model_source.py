"""Models to evaluate: run folders, model files, or tables of their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_neuropretrain.data.tables import TABLE_SUFFIXES, Row, read_table
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.evaluation.age_bias import AgeBias, fit_age_bias
from napari_neuropretrain.evaluation.metrics import youden_threshold
from napari_neuropretrain.evaluation.prediction_table import (
    NEEDED,
    kind_of_rows,
    part_of_rows,
    predictions_of_rows,
)
from napari_neuropretrain.evaluation.predictions import Predictions
from napari_neuropretrain.weights.model_card import ModelCard
from napari_neuropretrain.weights.model_file import CARD, WEIGHTS, read_card

PREDICTIONS, BASELINES = "predictions.tsv", "baselines"


@dataclass(frozen=True)
class ModelSource:
    """A model, and what it said of its own test part.

    Parameters
    ----------
    name
        For tables and sentences.
    tested
        Predictions of the test part; None where only the model file is there.
    card
        None for a table, which cannot be applied to another cohort.
    path
        Of the model file or the table.
    bias
        Age bias on its validation part.
    beside
        Whether it is a baseline that came with another model, whose card it has.
    """

    name: str
    tested: Predictions | None
    card: ModelCard | None
    path: Path
    bias: AgeBias | None = None
    beside: bool = False

    @property
    def run(self) -> Path:
        """Run folder that the model is in."""
        return self.path.parents[2] if self.beside else self.path.parent


def read_models(paths: Sequence[str], positive: Sequence[str]) -> list[ModelSource]:
    """Read models and give each a name of its own.

    Parameters
    ----------
    paths
        Run folders, ``.safetensors`` files, or tables with the columns
        participant_id, label and prediction, and perhaps session_id, split, age, sex
        and site.
    positive
        Labels of the positive group, for tables.

    Raises
    ------
    CheckpointError
        If a model cannot be read.
    CohortError, ConfigError
        If a table cannot be used.
    """
    names = _names(paths)
    return [
        _read(Path(path), name, positive)
        for path, name in zip(paths, names, strict=True)
    ]


def with_baselines(models: Sequence[ModelSource]) -> list[ModelSource]:
    """Add the linear models that were trained beside a run; of the same people once.

    A baseline of two runs with one division is the same model, and is not repeated.
    """
    found, known = list(models), set[tuple[str, str]]()
    for model in models:
        folder = model.path.parent / BASELINES
        if model.card is None or model.tested is None or not folder.is_dir():
            continue
        for table in sorted(folder.glob(f"*/{PREDICTIONS}")):
            cited = model.card.training.get("splits", {}).get("sha256", model.name)
            same = (table.parent.name, str(cited) + model.card.label)
            if same in known:
                continue
            known.add(same)
            name = f"{model.name}/{table.parent.name}"
            rows = read_table(table)
            options = model.card.task.options.get("positive", ())
            names = [text.lower() for text in options]
            given = predictions_of_rows(rows, table, name, model.card.kind, names)
            source = _fitted(given, rows, model.card.unit)
            found.append(
                ModelSource(name, source, model.card, table, source.bias, True)
            )
    return found


def _names(paths: Sequence[str]) -> list[str]:
    """Return the last parts of the paths that tell them apart."""
    parts = [
        Path(path).resolve().with_suffix("").parts
        if Path(path).suffix in (*TABLE_SUFFIXES, ".safetensors")
        else Path(path).resolve().parts
        for path in paths
    ]
    # In a run folder, the folder's name says more than that of the file.
    plain = ("model", "predictions")
    parts = [one[:-1] if one[-1] in plain and len(one) > 1 else one for one in parts]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-count:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    raise ConfigError(f"others: a model is given twice: {', '.join(paths)}.")


def _read(path: Path, name: str, positive: Sequence[str]) -> ModelSource:
    if not path.exists():
        raise CheckpointError(
            f"There is no model at '{path}'. Give the run folder of a fine-tuning, a "
            f".safetensors file, or a table with the columns {', '.join(NEEDED)}."
        )
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _from_table(path, name, positive)
    weights = path / WEIGHTS if path.is_dir() else path
    folder = weights.parent
    if weights.is_file():
        beside = (
            folder / CARD if weights.name == WEIGHTS else weights.with_suffix(".json")
        )
        return _from_run(weights, folder / PREDICTIONS, name, read_card(beside))
    if (path / PREDICTIONS).is_file():
        return _from_table(path / PREDICTIONS, name, positive)
    raise CheckpointError(
        f"'{path}' holds neither {WEIGHTS} nor {PREDICTIONS}. Give the run folder of a "
        "finished fine-tuning."
    )


def _from_run(weights: Path, table: Path, name: str, card: ModelCard) -> ModelSource:
    if not table.is_file():
        return ModelSource(name, None, card, weights, _bias_of(card))
    rows = read_table(table)
    names = [text.lower() for text in card.task.options.get("positive", ())]
    given = predictions_of_rows(rows, table, name, card.kind, names)
    threshold = 0.5 if card.threshold is None else card.threshold
    held = given.take(part_of_rows(rows, "validation"))
    bias = fit_age_bias(held.values, held.labels) if card.kind != "binary" else None
    given = replace(given, threshold=threshold, bias=bias, unit=card.unit)
    return ModelSource(
        name, given.take(part_of_rows(rows, "test")), card, weights, bias
    )


def _bias_of(card: ModelCard) -> AgeBias | None:
    try:
        return AgeBias(**card.metrics["bias_correction"])
    except (KeyError, TypeError):
        return None


def _from_table(path: Path, name: str, positive: Sequence[str]) -> ModelSource:
    rows = read_table(path)
    kind = kind_of_rows(rows, path)
    given = predictions_of_rows(
        rows, path, name, kind, [text.lower() for text in positive]
    )
    tested = _fitted(given, rows)
    return ModelSource(name, tested, None, path, tested.bias)


def _fitted(given: Predictions, rows: Sequence[Row], unit: str = "") -> Predictions:
    """Return the test part, with threshold and age bias of the validation part."""
    held = given.take(part_of_rows(rows, "validation"))
    threshold, bias = 0.5, None
    if given.kind == "binary" and held.labels.size:
        threshold = youden_threshold(held.values, held.labels)
    elif given.kind == "regression":
        bias = fit_age_bias(held.values, held.labels)
    given = replace(given, threshold=threshold, bias=bias, unit=unit)
    return given.take(part_of_rows(rows, "test"))
