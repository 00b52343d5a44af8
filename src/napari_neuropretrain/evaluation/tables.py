"""Evaluations as files: JSON for programs, TSV for people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_neuropretrain.config.base import write_text
from napari_neuropretrain.evaluation.assessment import Assessment, Certainty
from napari_neuropretrain.evaluation.bootstrap import Interval
from napari_neuropretrain.evaluation.comparison import Difference
from napari_neuropretrain.evaluation.groups import Group
from napari_neuropretrain.evaluation.predictions import Predictions

JSON, METRICS = "metrics.json", "metrics.tsv"
GROUPS, COMPARISON, PREDICTIONS = "by_group.tsv", "comparison.tsv", "predictions.tsv"


@dataclass(frozen=True)
class Judged:
    """One model on one cohort, with its groups."""

    given: Predictions
    assessment: Assessment
    groups: tuple[Group, ...] = ()


def write_tables(
    folder: Path,
    judged: Sequence[Judged],
    differences: Sequence[Difference],
    certainty: Certainty,
) -> dict[str, Path]:
    """Write everything that was found; return each file by the kind of result."""
    write_text(folder / JSON, _json(judged, differences, certainty))
    _write(folder / METRICS, _metric_rows(judged))
    _write(folder / GROUPS, _group_rows(judged))
    _write(folder / COMPARISON, _comparison_rows(differences))
    _write(folder / PREDICTIONS, _prediction_rows(judged))
    kinds = ("metrics", "table", "groups", "comparison", "predictions")
    files = (JSON, METRICS, GROUPS, COMPARISON, PREDICTIONS)
    return {kind: folder / file for kind, file in zip(kinds, files, strict=True)}


def _json(
    judged: Sequence[Judged], differences: Sequence[Difference], certainty: Certainty
) -> str:
    models: dict[str, dict[str, Any]] = {}
    for one in judged:
        found = one.assessment.as_json() | {"kind": one.given.kind}
        if one.given.bias is not None:
            found["bias_correction"] = asdict(one.given.bias)
        models.setdefault(one.given.model, {})[one.given.cohort] = found
    compared = [
        {name: None if _is_nan(value) else value for name, value in asdict(row).items()}
        for row in differences
    ]
    whole = {
        "certainty": {"interval": "BCa bootstrap over participants"}
        | asdict(certainty),
        "models": models,
        "comparisons": compared,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _metric_rows(judged: Iterable[Judged]) -> list[list[str]]:
    rows = [["model", "cohort", "metric", "value", "low", "high", "n", "participants"]]
    for one in judged:
        start = [one.given.model, one.given.cohort]
        rows += _rows_of(start, one.assessment)
        if one.assessment.p_chance is not None:
            p = _text(one.assessment.p_chance)
            counts = [str(one.assessment.n), str(one.assessment.n_participants)]
            rows.append([*start, "p_chance", p, "n/a", "n/a", *counts])
    return rows


def _rows_of(start: list[str], found: Assessment) -> list[list[str]]:
    counts = [str(found.n), str(found.n_participants)]
    return [
        [*start, name, _text(value), *_bounds(found.intervals.get(name)), *counts]
        for name, value in found.values.items()
    ]


def _group_rows(judged: Iterable[Judged]) -> list[list[str]]:
    header = ["model", "cohort", "column", "group", "metric", "value", "low", "high"]
    rows = [[*header, "n", "participants"]]
    for one in judged:
        for group in one.groups:
            start = [one.given.model, one.given.cohort, group.column, group.name]
            if group.assessment is None:
                empty = ["too few", "n/a", "n/a", "n/a"]
                rows.append([*start, *empty, str(group.n), str(group.n_participants)])
            else:
                rows += _rows_of(start, group.assessment)
    return rows


def _comparison_rows(differences: Iterable[Difference]) -> list[list[str]]:
    compared = ["cohort", "one", "other", "metric", "value_one", "value_other"]
    found = ["difference", "low", "high", "p_bootstrap", "p_delong", "p_holm"]
    rows = [[*compared, *found, "participants"]]
    for row in differences:
        rows.append(
            [row.cohort, row.one, row.other, row.metric]
            + [_text(value) for value in (*row.values, row.difference)]
            + _bounds(row.interval)
            + [_text(value) for value in (row.p, row.p_delong, row.p_holm)]
            + [str(row.n_participants)]
        )
    return rows


def _prediction_rows(judged: Sequence[Judged]) -> list[list[str]]:
    """Return every prediction, for figures; groups are 1 and 0."""
    columns = list(dict.fromkeys(name for one in judged for name in one.given.columns))
    start = ["model", "cohort", "participant_id", "scan", "label", "prediction"]
    rows = [[*start, "threshold", *columns]]
    for one in judged:
        given = one.given
        threshold = f"{given.threshold:.6g}" if given.kind == "binary" else "n/a"
        for index, scan in enumerate(given.scans):
            texts = [_cell(given.columns, name, index) for name in columns]
            numbers = [f"{given.labels[index]:.6g}", f"{given.values[index]:.6g}"]
            who = [given.model, given.cohort, str(given.participants[index]), str(scan)]
            rows.append([*who, *numbers, threshold, *texts])
    return rows


def _cell(columns: Mapping[str, Any], name: str, index: int) -> str:
    return str(columns[name][index]) if name in columns else "n/a"


def _bounds(interval: Interval | None) -> list[str]:
    return ["n/a", "n/a"] if interval is None else [_text(bound) for bound in interval]


def _text(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:.6g}"


def _write(path: Path, rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())
