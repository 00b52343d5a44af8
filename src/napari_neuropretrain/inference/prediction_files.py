"""Write predictions for people and programs, and say them in words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain import __version__
from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.data.participants import Scan
from napari_neuropretrain.inference.context import Doubt
from napari_neuropretrain.inference.models import Ensemble, names_of
from napari_neuropretrain.inference.uncertainty import KINDS, Estimate, Interval
from napari_neuropretrain.progress import Progress, Report
from napari_neuropretrain.weights.card_text import RESEARCH_USE, describe_model
from napari_neuropretrain.weights.reference import thin

TABLE, REPORT = "predictions.tsv", "predictions.json"
MISSING = "n/a"
COLUMNS = (
    "participant_id",
    "session_id",
    "model",
    "task",
    "prediction",
    "unit",
    "low",
    "high",
    "interval",
    "level",
    "spread_low",
    "spread_high",
    "spread",
    "samples",
    "probability",
    "threshold",
    "label",
    "percentile",
    "percentile_by_group",
    "warnings",
    "path",
    "use",
)
"""Columns of ``predictions.tsv``; docs/predict.md explains them."""
SHOWN_NUMBERS = 101
_USE = RESEARCH_USE.split(".")[0] + "."


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model, or several, say of one scan.

    Parameters
    ----------
    scan, ensemble
        Of whom, and by what.
    estimate
        The value and its intervals.
    percentile, percentiles
        Where it lies among all training outputs, and among those of each group.
    doubts
        What speaks against it.
    """

    scan: Scan
    ensemble: Ensemble
    estimate: Estimate
    percentile: float | None
    percentiles: Mapping[str, float]
    doubts: tuple[Doubt, ...]

    @property
    def label(self) -> str:
        """Name of the group that the value means; empty for numbers."""
        if self.ensemble.card.kind != "binary":
            return ""
        positive = self.estimate.value >= self.ensemble.threshold
        return names_of(self.ensemble.card)[int(positive)]


def write_predictions(
    folder: Path,
    ensembles: Sequence[Ensemble],
    predictions: Sequence[Prediction],
    level: float,
) -> None:
    """Write ``predictions.tsv`` and ``predictions.json``, each whole or not at all."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in predictions:
        row = _row(one)
        writer.writerow([row[name] for name in COLUMNS])
    write_text(folder / TABLE, stream.getvalue())
    used = {id(one.ensemble) for one in predictions}
    content = {
        "use": RESEARCH_USE,
        "version": __version__,
        "level": level,
        "models": [_model_notes(one) for one in ensembles if id(one) in used],
        "predictions": [_notes(one) for one in predictions],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_text(folder / REPORT, text + "\n")


def say_prediction(one: Prediction, step: tuple[int, int], report: Report) -> None:
    """Report ``item_done`` with the value in words, and its doubts."""
    values = _notes(one)
    message = f"{one.scan.key}: {one.ensemble.name}: {describe(one)}"
    for doubt in one.doubts:
        if doubt.kind not in ("missing", "seen"):
            message += f" {doubt.sentence}"
    report(Progress("item_done", message, *step, values))


def describe(one: Prediction) -> str:
    """Say value and interval in one line."""
    card, interval = one.ensemble.card, one.estimate.interval
    limits = ""
    if interval is not None:
        ends = f"{interval.low:.3g} to {interval.high:.3g}"
        limits = f"{100 * interval.level:.0f} % interval {ends}, {KINDS[interval.kind]}"
    if card.kind == "binary":
        inner = f"probability {one.estimate.value:.3f}"
        return f"{one.label} ({inner}{'; ' + limits if limits else ''})."
    said = f"{one.estimate.value:.3g} {card.unit}".strip()
    return f"{said} ({limits})." if limits else f"{said}."


def _row(one: Prediction) -> dict[str, str]:
    card, found = one.ensemble.card, one.estimate
    binary = card.kind == "binary"
    value = _number(found.value)
    groups = one.percentiles if len(one.percentiles) > 1 else {}
    return {
        "participant_id": one.scan.participant,
        "session_id": one.scan.session or MISSING,
        "model": one.ensemble.name,
        "task": card.task.name,
        "prediction": value,
        "unit": card.unit or MISSING,
        **_ends(found.interval, "", "interval"),
        "level": _number(found.interval.level) if found.interval else MISSING,
        **_ends(found.spread, "spread_", "spread"),
        "samples": str(found.samples) if found.samples else MISSING,
        "probability": value if binary else MISSING,
        "threshold": _number(one.ensemble.threshold) if binary else MISSING,
        "label": one.label or MISSING,
        "percentile": MISSING if one.percentile is None else f"{one.percentile:g}",
        "percentile_by_group": "; ".join(
            f"{name} {rank:g}" for name, rank in groups.items()
        )
        or MISSING,
        "warnings": " ".join(doubt.sentence for doubt in one.doubts) or MISSING,
        "path": str(one.scan.path),
        "use": _USE,
    }


def _ends(interval: Interval | None, prefix: str, kind: str) -> dict[str, str]:
    if interval is None:
        return {f"{prefix}low": MISSING, f"{prefix}high": MISSING, kind: "none"}
    return {
        f"{prefix}low": _number(interval.low),
        f"{prefix}high": _number(interval.high),
        kind: interval.kind,
    }


def _notes(one: Prediction) -> dict[str, Any]:
    """Return one prediction as it stands in events and JSON."""
    found = one.estimate
    return {
        "participant": one.scan.key,
        "model": one.ensemble.name,
        "task": one.ensemble.card.task.name,
        "prediction": found.value,
        "unit": one.ensemble.card.unit,
        "label": one.label,
        "interval": _interval_notes(found.interval),
        "spread": _interval_notes(found.spread),
        "samples": found.samples,
        "percentile": one.percentile,
        "percentile_by_group": dict(one.percentiles),
        "warnings": [
            {"kind": doubt.kind, "sentence": doubt.sentence} for doubt in one.doubts
        ],
        "path": str(one.scan.path),
        "use": _USE,
    }


def _interval_notes(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "kind": interval.kind,
        "means": KINDS[interval.kind],
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
    }


def _model_notes(ensemble: Ensemble) -> dict[str, Any]:
    """Return what a viewer shows of a model."""
    card, reference = ensemble.card, ensemble.reference
    binary = card.kind == "binary"
    cards = [describe_model(one.card) for one in ensemble.members]
    return {
        "name": ensemble.name,
        "task": card.task.name,
        "kind": card.kind,
        "unit": card.unit,
        "paths": [str(one.path) for one in ensemble.members],
        "groups": list(names_of(card)) if binary else [],
        "threshold": ensemble.threshold if binary else None,
        "trained_on": card.cohort.participants.get("train", 0),
        "age_range": card.cohort.age_range,
        "outputs": {
            name: thin(values, SHOWN_NUMBERS)
            for name, values in reference.outputs.items()
        },
        "labels": thin(reference.labels, SHOWN_NUMBERS),
        "validation_scans": len(reference.residuals),
        "card": "\n\n".join(cards),
    }


def _number(value: float) -> str:
    return f"{value:.6g}"
