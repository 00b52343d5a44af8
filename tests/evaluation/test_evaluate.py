"""The job ``evaluate`` on tables of predictions."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_neuropretrain.config.evaluation import EvaluateConfig
from napari_neuropretrain.errors import CheckpointError, CohortError, ConfigError
from napari_neuropretrain.evaluation.evaluate import evaluate
from napari_neuropretrain.evaluation.metrics import youden_threshold
from napari_neuropretrain.evaluation.model_source import read_models
from napari_neuropretrain.progress import Progress


def write_table(path: Path, noise: float, kind: str = "binary") -> Path:
    """Write 160 predictions, half of them for validation, of 80 people each."""
    random = np.random.default_rng(0)
    own = np.random.default_rng(int(100 * noise))
    lines = ["participant_id\tsession_id\tsplit\tlabel\tprediction\tsex\tage"]
    for number in range(160):
        part, age = ("validation", "test")[number % 2], random.uniform(40, 90)
        ill = random.random() < 0.5
        logit = 2 * ill - 1 + random.normal() + own.normal(0, noise)
        label, value = ("CN", "AD")[ill], f"{1 / (1 + np.exp(-logit)):.6f}"
        if kind == "regression":
            label = f"{age:.2f}"
            value = f"{30 + 0.5 * age + own.normal(0, noise):.3f}"
        sex = "FM"[number // 2 % 2]
        who = f"sub-{number:03d}\tn/a\t{part}\t{label}\t{value}\t{sex}\t{age:.1f}"
        lines.append(who)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def run(
    output: Path, *models: Path, **changes: Any
) -> tuple[list[Progress], dict[str, Any]]:
    said: list[Progress] = []
    values: dict[str, Any] = {"model": models[0], "others": [*map(str, models[1:])]}
    values |= {"output": output, "bootstraps": 200, "permutations": 99, **changes}
    evaluate(EvaluateConfig.parse(values), said.append)
    return said, json.loads((output / "metrics.json").read_text())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_two_models_are_judged_and_compared(tmp_path: Path) -> None:
    good = write_table(tmp_path / "good" / "predictions.tsv", 0.1)
    poor = write_table(tmp_path / "poor" / "predictions.tsv", 4.0)
    said, metrics = run(tmp_path / "out", good, poor)
    rows = rows_of(good)
    test = [row for row in rows if row["split"] == "test"]
    held = [row for row in rows if row["split"] == "validation"]
    found = metrics["models"]["good"]["test"]
    labels, scores = (
        [row["label"] == "AD" for row in test],
        [float(row["prediction"]) for row in test],
    )
    assert found["roc_auc"] == pytest.approx(roc_auc_score(labels, scores))
    # The threshold is fitted to the validation rows, and frozen.
    expected = youden_threshold(
        [float(row["prediction"]) for row in held],
        [row["label"] == "AD" for row in held],
    )
    assert found["threshold"] == pytest.approx(expected)
    (pair,) = [one for one in metrics["comparisons"] if one["metric"] == "roc_auc"]
    assert (pair["one"], pair["other"]) == ("good", "poor")
    assert pair["p_delong"] < 0.01
    messages = [one.message for one in said if one.state == "metric"]
    assert any(one.startswith("On test, good is better than poor") for one in messages)
    compared = rows_of(tmp_path / "out" / "comparison.tsv")
    assert {row["metric"] for row in compared} >= {"roc_auc", "brier"}
    table = rows_of(tmp_path / "out" / "metrics.tsv")
    (area,) = [
        row for row in table if (row["model"], row["metric"]) == ("good", "roc_auc")
    ]
    low, high = (float(area[name]) for name in ("low", "high"))
    assert low < float(area["value"]) < high
    assert len(rows_of(tmp_path / "out" / "predictions.tsv")) == 160
    assert rows_of(tmp_path / "out" / "predictions.tsv")[0]["label"] in ("0", "1")


def test_groups_are_judged_where_they_are_large_enough(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.tsv", 3.0, "regression")
    run(tmp_path / "out", table, smallest_group=20)
    rows = rows_of(tmp_path / "out" / "by_group.tsv")
    sexes = [row for row in rows if row["column"] == "sex" and row["metric"] == "mae"]
    assert [row["group"] for row in sexes] == ["F", "M"]
    mine = [
        abs(float(row["label"]) - float(row["prediction"]))
        for row in rows_of(table)
        if (row["split"], row["sex"]) == ("test", "F")
    ]
    assert float(sexes[0]["value"]) == pytest.approx(np.mean(mine), rel=1e-4)
    decades = {row["group"]: row for row in rows if row["column"] == "age"}
    assert set(decades) == {f"{age}-{age + 9}" for age in range(40, 90, 10)}
    for row in decades.values():
        assert (row["metric"] == "too few") == (int(row["participants"]) < 20)


def test_ages_are_corrected_by_the_validation(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.tsv", 2.0, "regression")
    _, metrics = run(tmp_path / "out", table)
    found = metrics["models"]["a"]["test"]
    assert found["bias_correction"]["n"] == 80
    assert found["bias_slope"] == pytest.approx(-0.5, abs=0.05)
    assert found["bias_slope_corrected"] == pytest.approx(0, abs=0.05)


def test_models_with_other_test_people_are_not_compared(tmp_path: Path) -> None:
    one = write_table(tmp_path / "one.tsv", 0.1)
    other = tmp_path / "other.tsv"
    other.write_text(one.read_text().replace("sub-", "sub-9"))
    said, metrics = run(tmp_path / "out", one, other)
    assert metrics["comparisons"] == []
    (warning,) = [one.message for one in said if one.state == "warning"]
    assert "the same split file" in warning


def test_names_tell_the_models_apart(tmp_path: Path) -> None:
    paths = [
        write_table(tmp_path / run / seed / "predictions.tsv", 1)
        for run, seed in (("a", "s1"), ("b", "s1"))
    ]
    models = read_models([str(path) for path in paths], ("AD",))
    assert [one.name for one in models] == ["a/s1", "b/s1"]
    with pytest.raises(ConfigError, match="given twice"):
        read_models([str(paths[0])] * 2, ("AD",))


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.tsv", 1)
    with pytest.raises(ConfigError, match="are ad and cn; exactly one of them"):
        run(tmp_path / "out", table, positive="patient")
    with pytest.raises(CheckpointError, match="cannot be applied to"):
        run(tmp_path / "out", table, cohorts="elsewhere")
    with pytest.raises(CheckpointError, match="There is no model at"):
        run(tmp_path / "out", tmp_path / "b.tsv")
    (tmp_path / "c.tsv").write_text("participant_id\tprediction\nsub-1\t0.5\n")
    with pytest.raises(CohortError, match="lacks the column 'label'"):
        run(tmp_path / "out", tmp_path / "c.tsv")
    text = table.read_text()
    table.write_text(text.replace("validation", "test").replace("\ttest", "\ttrain"))
    with pytest.raises(CohortError, match="There is nothing to judge"):
        run(tmp_path / "out", table)


def test_lists_can_be_written_with_commas() -> None:
    config = EvaluateConfig.parse({"model": "a", "output": "o", "others": "b, c"})
    assert config.others == ("b", "c")
    assert EvaluateConfig.parse(config.model_dump(mode="json")) == config
